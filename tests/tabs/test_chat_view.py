"""A conversation as it is drawn: what it may not do, what is folded, and which message is which."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest

from core.conversations.file import Conversation, Head, Said
from core.messages import MOST_MESSAGES
from core.settings import LIMITS
from core.words import say
from tabs._chat_view import JOINER, as_written, draw, draw_answer, draw_files, draw_text, harmless

HEAD = Head("0" * 32, 'A "title" <b>', 1.0, 2.0)
SAID = (Said("user", "One"), Said("assistant", "1"), Said("user", "Two"), Said("assistant", "<think>Hm</think>2"))
TALK = Conversation(HEAD, "Be kind.", SAID)


def text(message: dict[str, Any]) -> str:
    """Return the text of one drawn message."""
    (part,) = message["content"]
    return str(part["text"])


@pytest.mark.parametrize(
    "live",
    [
        "<img src=x>",
        "</b>",
        "<!-- x -->",
        "<?x?>",
        "![x](y)",
        "![x][y]",
        "```mermaid\nx\n```",
        "<https://x y>",
        "$$<b>$$",
    ],
)
def test_nothing_in_a_message_can_come_alive(live: str) -> None:
    """No tag, picture or diagram begins anywhere, in code or formulas neither; what is read is the same."""
    found = harmless(f"a < b, !c\n{live} `{live}`\n")
    assert not re.search(r"<[A-Za-z/!?]|!\[|```mermaid", found)
    assert re.sub(rf"[{JOINER} ]", "", found) == re.sub(" ", "", f"a < b, !c\n{live} `{live}`\n")


@pytest.mark.parametrize(
    "plain", ["a < b > c", "x != [1]", "<https://example.org/a?b=c>", "```python\nx\n```", "", "# 題"]
)
def test_other_text_stays_as_it_is(plain: str) -> None:
    """What cannot come alive is not touched, and links that somebody must click are none of our business."""
    assert harmless(plain) == plain


@pytest.mark.parametrize("formula", ["$$<b>$$", "\\[<b>\\]", "\\(<b>\\)", "$$$<b>$$", "\\[\\(<b>\\]", "$$\n<b>\n$$"])
def test_a_formula_has_spaces_instead(formula: str) -> None:
    """What closes a formula is what it was opened with; nothing in it gets a sign that it would show."""
    assert harmless(f"{formula} <b>") == f"{formula.replace('<', '< ')} <{JOINER}b>"


@pytest.mark.parametrize("piece", ["\\[", "\\(", "$$\\[", "\\[\\(", "$", "<https://", "!\\["])
def test_the_longest_message_is_looked_at_once(piece: str) -> None:
    """A message full of signs that open formulas, none of them closed, is read through as any other."""
    message = (piece * LIMITS.text_characters)[: LIMITS.text_characters - 3] + "<b>"
    shown = harmless(message)
    assert shown.replace(" ", "").replace(JOINER, "") == message
    assert not re.search(r"<[A-Za-z]", shown.replace("<https://", ""))


def test_what_is_edited_is_what_was_written() -> None:
    """The signs between are taken out again before an edited message is sent."""
    written = "Use <b> and ![x](y)\n```mermaid"
    assert as_written(harmless(written)) == written


def test_thoughts_are_folded() -> None:
    """Thinking is a folded message of its own, open while it goes on; an answer without is one message."""
    thought, answer = draw_answer("<think>Hm</think>Yes", "en")
    assert thought["metadata"] == {"title": str(say("say.thoughts")), "status": "done"}
    assert (text(thought), text(answer)) == ("Hm", "Yes")
    (going_on,) = draw_answer("Hm", "en", opened=True, over=False)
    assert going_on["metadata"]["status"] == "pending"
    (stopped,) = draw_answer("Hm", "en", opened=True)
    assert stopped["metadata"]["status"] == "done"
    (plain,) = draw_answer("Yes", "en")
    assert "metadata" not in plain


def test_of_an_endless_conversation_the_newest_is_drawn() -> None:
    """What a page shows is bounded; a line says how many messages stand above it, and each knows its place."""
    said = SAID * (MOST_MESSAGES // len(SAID) + 50)
    drawn = draw(replace(TALK, said=said, head=replace(HEAD, left_out=300)), "ko")
    assert drawn.messages[0]["metadata"]["title"] == say("say.earlier_above", count=200).in_language("ko")
    assert (drawn.places[:2], drawn.places[-1]) == ((None, 200), len(said) - 1)
    assert sorted({place for place in drawn.places if place is not None}) == list(range(200, len(said)))
    assert drawn.places.count(None) == 2


def test_each_message_has_its_place() -> None:
    """Whatever is drawn between, the place of what was said is known; our own words have none."""
    drawn = draw(replace(TALK, head=replace(HEAD, left_out=2)), "ko")
    assert drawn.places == (0, 1, None, 2, 3, 3)
    assert drawn.messages[2]["metadata"]["title"] == say("say.left_out_above", count=2).in_language("ko")
    assert [text(one) for one in drawn.messages if "metadata" not in one] == ["One", "1", "Two", "2"]


def test_a_question_without_an_answer_is_called_one() -> None:
    """A last question without an answer says so, unless the answer is on its way."""
    asked = TALK.with_said(*SAID[:1])
    assert draw(asked, "en").places == (0, None)
    assert str(say("say.no_answer_written")) in text(draw(asked, "en").messages[1])
    assert draw(asked, "en", waiting=True).places == (0,)
    assert draw(None, "en").messages == ()


def test_files_hold_themselves() -> None:
    """The links carry the whole conversation, and a title cannot break out of them."""
    links = re.findall(r'<a download="([^"]*)" href="data:[^;]*;charset=utf-8;base64,([^"]*)">', draw_files(TALK, "en"))
    assert [name for name, _ in links] == ["A title b.json", "A title b.md"]
    assert all("Be kind." in b64decode(data).decode() for _, data in links)


def test_an_answer_outside_a_conversation_is_escaped() -> None:
    """What programs get to show is text, with the thoughts folded."""
    drawn = draw_text("<think><i>Hm</i></think><b>Yes</b>")
    assert "<details" in drawn
    assert "&lt;b&gt;Yes" in drawn
    assert "<i>" not in drawn
