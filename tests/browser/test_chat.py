"""The Chat tab: a conversation that streams, stops, goes back, is found again, and belongs to one browser alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.conversations.file import title_of
from core.messages import read_messages
from core.words import dictionary, say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, expect_dialog, open_tab
from tests.browser.test_page import violations
from tests.fakes.chat_server import FakeChatServer
from tests.fakes.models import tiny_chat
from tests.serving import Served

WORDS = dictionary("en")
STOPPED, UNANSWERED = str(say("say.ended_stopped")), str(say("say.no_answer_written"))
ELSEWHERE = "http://192.0.2.1"  # reserved for documentation: RFC 5737
MARKUP = f"""<img src=x onerror="window.hit=1"> <script>window.hit=2</script> <b>bold</b> ![one]({ELSEWHERE}/1.png)

```html
<img src="{ELSEWHERE}/2.png"> ![two]({ELSEWHERE}/3.png)
```

```mermaid
graph TD; A[<img src="{ELSEWHERE}/4.png">] --> B
```

[click](javascript:window.hit=3) ![three][3] $$<img src="{ELSEWHERE}/5.png">$$ <iframe src="{ELSEWHERE}/6"></iframe>

[3]: {ELSEWHERE}/7.png
"""
"""What a model might write to run something, or to tell somebody that its answer is being read."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny chat model that reads 256 tokens."""
    return str(tiny_chat(tmp_path_factory.mktemp("model") / "chat"))


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny chat model that writes for minutes if nobody stops it."""
    folder = tiny_chat(tmp_path_factory.mktemp("model") / "long")
    for name, key in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), key: 100_000}))
    return str(folder)


@pytest.fixture
def server() -> Iterator[FakeChatServer]:
    """Give a chat server elsewhere, which answers what it is told to."""
    with FakeChatServer() as running:
        yield running


def come_in(page: Page, model: str, new_tokens: int = 20) -> None:
    """Open the tab, choose a model, and ask for so short answers."""
    open_tab(page, "tab.chat")
    page.locator("#chat-more button").first.click()
    choose(page, model)  # meanwhile the settings below finish opening, which would undo what was filled in too early
    most = page.locator("#chat-max_new_tokens input")
    most.fill(str(new_tokens))
    most.press("Tab")
    expect(most).to_have_value(str(new_tokens))


def choose(page: Page, model: str) -> None:
    """Type a model's name."""
    box = page.locator("#chat-model input")
    box.fill(model)
    box.press("Enter")


def write(page: Page, text: str) -> None:
    """Write a message and press Enter."""
    box = page.locator("#chat-message textarea")
    box.fill(text)
    box.press("Enter")


def answer_to(page: Page, text: str) -> str:
    """Say something, wait until it is answered, and return the answer."""
    write(page, text)
    expect_said(page, text)
    return whole_answer(page)


def expect_said(page: Page, text: str) -> None:
    """Wait until the last message of the user is `text`; a refusal instead is shown as it reads."""
    last, dialog = said(page, "user").last, page.get_by_test_id("toast-body")
    expect(last.filter(has_text=text).or_(dialog).first).to_be_visible(timeout=PATIENCE)
    assert dialog.all_inner_texts() == []
    expect(last).to_have_text(text)


def whole_answer(page: Page) -> str:
    """Wait until the last answer is whole, and return it."""
    provenance, dialog = page.locator("#chat-view .provenance"), page.get_by_test_id("toast-body")
    expect(provenance.or_(dialog).first).to_be_visible(timeout=PATIENCE)
    assert dialog.all_inner_texts() == []
    return said(page, "bot").last.inner_text()


def said(page: Page, who: str) -> Locator:
    """Return the messages of the "user" or of the "bot"."""
    return page.locator(f"#chat-conversation [data-testid={who}]")


def press(page: Page, name: str) -> None:
    """Press the last button of this name beside a message."""
    page.locator("#chat-conversation").get_by_role("button", name=name, exact=True).last.click()


def titles(page: Page) -> Locator:
    """Return the titles in the list of conversations."""
    return page.locator("#chat-conversations label")


def write_for_long(page: Page, model: str) -> Locator:
    """Ask for an answer that has no end, and wait for its first words."""
    come_in(page, model, 4096)
    page.locator("#chat-preset").get_by_label(WORDS["page.preset.greedy"]).check()
    write(page, "Tell me all")
    answer = said(page, "bot").last
    expect(answer).to_have_text(re.compile(r"\S{5}", re.DOTALL), timeout=PATIENCE)
    return answer


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait until a condition on the server is met."""
    for _ in range(PATIENCE // 100):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("waited in vain")


def test_a_conversation_is_answered_kept_and_found_again(open_window: OpenWindow, model: str) -> None:
    """Answers stream in, with speed, code and JSON; a reload shows all of it, and another browser nothing."""
    with open_window(leaves=True) as page, open_window(leaves=True) as stranger:
        come_in(page, model)
        first = answer_to(page, "Hi there")
        expect(page.locator("#chat-view .speed")).to_contain_text("per second")
        expect(page.locator("#chat-message textarea")).to_have_value("")
        second = answer_to(page, "And you?")
        page.get_by_role("button", name=WORDS["page.code"]).locator("visible=true").click()
        expect(page.locator("#chat-code")).to_contain_text("/gradio_api/call/v2/chat")
        expect(page.locator("#chat-code")).to_contain_text("from transformers import pipeline")
        page.get_by_role("button", name=WORDS["page.json"]).locator("visible=true").click()
        expect(page.locator("#chat-result")).to_contain_text("generated_text")
        expect(titles(page)).to_have_text(["Hi there"])
        page.reload()
        open_tab(page, "tab.chat")
        expect(said(page, "user")).to_have_text(["Hi there", "And you?"])
        assert [one.strip() for one in said(page, "bot").all_inner_texts()] == [first.strip(), second.strip()]
        expect(page.locator("#chat-model input")).to_have_value(model)
        open_tab(stranger, "tab.chat")
        stranger.reload()
        open_tab(stranger, "tab.chat")
        expect(stranger.locator("#chat-send")).to_be_visible()
        expect(titles(stranger)).to_have_count(0)
        expect(said(stranger, "user")).to_have_count(0)


def test_stop_keeps_what_was_written(open_window: OpenWindow, long_model: str, served: Served) -> None:
    """Stop ends the answer at once; its words stay, also after a reload, and the conversation goes on."""
    with open_window(leaves=True) as page:
        answer = write_for_long(page, long_model)
        page.locator("#chat-stop").click()
        expect(page.locator("#chat-view .note")).to_have_text([STOPPED])
        until(page, lambda: served.borrowers() == 0)
        text = answer.inner_text()
        expect(page.locator("#chat-view .provenance")).to_contain_text(long_model)
        page.reload()
        open_tab(page, "tab.chat")
        expect(said(page, "bot").last).to_have_text(text, use_inner_text=True)
        come_in(page, long_model, 5)
        answer_to(page, "Go on")
        expect(said(page, "bot")).to_have_count(2)


def test_leaving_stops_and_keeps(open_window: OpenWindow, long_model: str, served: Served) -> None:
    """When the page is closed in the middle, the model is free a moment later, and what was written is there again."""
    with open_window(leaves=True) as page:
        written = write_for_long(page, long_model).inner_text()
        page.reload()
        until(page, lambda: served.borrowers() == 0)
        open_tab(page, "tab.chat")
        expect(said(page, "user")).to_have_text(["Tell me all"])
        page.reload()
        open_tab(page, "tab.chat")
        expect(said(page, "bot").last).to_have_text(re.compile(re.escape(written.strip()[:5])))


def test_retry_draws_another_answer(open_window: OpenWindow, model: str) -> None:
    """Retry replaces the last answer by another one, with a seed of its own."""
    with open_window() as page:
        come_in(page, model)
        first = answer_to(page, "Hi")
        seed = page.locator("#chat-view .provenance").inner_text()
        press(page, "Retry")
        expect(page.locator("#chat-view .provenance")).not_to_have_text(seed, timeout=PATIENCE)
        expect(said(page, "user")).to_have_text(["Hi"])
        expect(said(page, "bot")).to_have_count(1)
        assert whole_answer(page) != first


def test_edit_cuts_and_asks_anew(open_window: OpenWindow, model: str) -> None:
    """An edited message is answered anew; what followed it is gone, what stood before it stays."""
    with open_window() as page:
        come_in(page, model)
        before = answer_to(page, "One")
        answer_to(page, "Two")
        answer_to(page, "Three")
        edits = page.locator("#chat-conversation").get_by_role("button", name="Edit", exact=True)
        edits.nth(1).click()
        box = page.locator("#chat-conversation textarea")
        expect(box).to_have_value("Two")
        box.fill("Zwei <i>")
        press(page, "Submit")
        expect(said(page, "user")).to_have_text(["One", re.compile("Zwei <.?i>")], timeout=PATIENCE)
        whole_answer(page)
        expect(said(page, "bot")).to_have_count(2)
        assert said(page, "bot").first.inner_text() == before
        page.reload()
        open_tab(page, "tab.chat")
        expect(said(page, "user")).to_have_text(["One", re.compile("Zwei <.?i>")])


def test_undo_gives_the_message_back(open_window: OpenWindow, model: str) -> None:
    """Undo takes the last message back into the box and its answer away; nothing is left of a first one."""
    with open_window() as page:
        come_in(page, model)
        answer_to(page, "One")
        answer_to(page, "Two")
        press(page, "Undo")
        expect(page.locator("#chat-message textarea")).to_have_value("Two")
        expect(said(page, "user")).to_have_text(["One"])
        press(page, "Undo")
        expect(page.locator("#chat-message textarea")).to_have_value("One")
        expect(said(page, "user")).to_have_count(0)
        expect(titles(page)).to_have_count(0)


def test_conversations_are_listed_renamed_deleted(open_window: OpenWindow, model: str, tmp_path: Path) -> None:
    """A visitor opens, renames, takes away and deletes conversations; deleting asks first."""
    with open_window() as page:
        come_in(page, model)
        answer_to(page, "About apples")
        press(page, "Clear")
        expect(said(page, "user")).to_have_count(0)
        expect(titles(page)).to_have_text(["About apples"])
        titles(page).click()
        expect_said(page, "About apples")
        page.locator("#chat-new").click()
        expect(said(page, "user")).to_have_count(0)
        answer_to(page, "About pears")
        expect(titles(page)).to_have_text(["About pears", "About apples"])
        titles(page).nth(1).click()
        expect_said(page, "About apples")
        page.locator("#chat-this button").first.click()
        page.locator("#chat-title").locator("textarea, input").first.fill("Fruit")
        page.locator("#chat-rename").click()
        expect(titles(page)).to_have_text(["Fruit", "About pears"])
        found = json.loads(downloaded(page, "json", tmp_path))
        assert found["title"] == "Fruit"
        assert read_messages(found["messages"])[0].content == "About apples"
        assert "About apples" in downloaded(page, "md", tmp_path)
        page.locator("#chat-delete").click()
        page.locator("#chat-keep").click()
        expect(page.locator("#chat-delete-now")).not_to_be_visible()
        page.locator("#chat-delete").click()
        page.locator("#chat-delete-now").click()
        expect(titles(page)).to_have_text(["About pears"])
        expect(said(page, "user")).to_have_count(0)


def downloaded(page: Page, kind: str, folder: Path) -> str:
    """Offer the files, press one, and return what it holds."""
    page.locator("#chat-export").click()
    with page.expect_download() as waiting:
        page.locator("#chat-files a", has_text=f".{kind}").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path.read_text(encoding="utf-8")


def test_markup_is_shown_and_nothing_is_fetched(open_window: OpenWindow, server: FakeChatServer) -> None:
    """Tags, scripts, pictures and diagrams in a message stay text: nothing runs, and no other host is asked."""
    with open_window() as page:
        server.next(pieces=["<think>\nHm: ", f"{MARKUP}</think>", MARKUP])
        come_in(page, server.name())
        write(page, MARKUP)
        whole_answer(page)
        answer = said(page, "bot").last
        shown = answer.inner_text().replace("\u2060", "")
        for piece in ('<img src=x onerror="window.hit=1">', "<script>window.hit=2</script>", "<b>bold</b>"):
            assert piece in shown
        assert f'A[<img src="{ELSEWHERE}/4.png">]' in shown
        page.locator("#chat-conversation").get_by_text(str(say("say.thoughts"))).click()
        expect(said(page, "bot").first).to_contain_text("Hm:")
        page.reload()
        open_tab(page, "tab.chat")
        expect(said(page, "bot").last).to_contain_text("graph TD")
        live = "img, script, iframe, b, .mermaid, [onerror], [href^=javascript]"
        for who in ("user", "bot"):
            assert said(page, who).locator(live).count() == 0
        assert page.evaluate("window.hit") is None


def test_what_is_copied_is_what_was_said(open_window: OpenWindow, server: FakeChatServer) -> None:
    """The copy buttons give the very text, without the signs that keep markup apart."""
    with open_window(permissions=["clipboard-read", "clipboard-write"]) as page:
        text = "Use <b> and:\n\n```html\n<i>code</i>\n```"
        server.next(pieces=[text])
        come_in(page, server.name())
        write(page, "How?")
        whole_answer(page)
        press(page, "Copy message")
        assert page.evaluate("navigator.clipboard.readText()") == text
        page.locator("#chat-conversation .copy_code_button").click()
        assert page.evaluate("navigator.clipboard.readText()") == "<i>code</i>"


def test_the_keyboard_is_enough(open_window: OpenWindow, model: str) -> None:
    """Enter sends and Shift+Enter begins a line; Enter that ends a word of an input method does not send."""
    with open_window() as page:
        come_in(page, model)
        box = page.locator("#chat-message textarea")
        box.fill("one")
        box.press("Shift+Enter")
        page.keyboard.type("two")
        box.evaluate(
            "box => box.dispatchEvent(new KeyboardEvent("
            "'keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
        )
        expect(box).to_have_value("one\ntwo")
        expect(said(page, "user")).to_have_count(0)
        box.press("Enter")
        whole_answer(page)
        assert said(page, "user").inner_text().strip() == "one\ntwo"


def test_a_refusal_loses_nothing(open_window: OpenWindow, model: str) -> None:
    """A model that cannot be had is a dialog; the message is back in the box, the conversation as it was before."""
    with open_window() as page:
        come_in(page, model)
        answer_to(page, "One")
        choose(page, "nobody/nothing")
        write(page, "Two")
        expect_dialog(page, str(say("error.hub_offline", repo_id="nobody/nothing", revision="main")))
        expect(page.locator("#chat-message textarea")).to_have_value("Two")
        expect(page.locator("#chat-model input")).to_have_value("nobody/nothing")
        expect(said(page, "user")).to_have_text(["One"])
        expect(titles(page)).to_have_text(["One"])
        write(page, "   ")
        expect(page.get_by_test_id("toast-body")).to_be_visible()


def test_a_refused_name_is_a_dialog(open_window: OpenWindow, model: str) -> None:
    """A conversation without a name is refused in words, and keeps the name it had."""
    with open_window() as page:
        come_in(page, model)
        answer_to(page, "One")
        page.locator("#chat-this button").first.click()
        page.locator("#chat-title").locator("textarea, input").first.fill("  ")
        page.locator("#chat-rename").click()
        expect_dialog(page, str(say("error.title_empty")))
        expect(titles(page)).to_have_text(["One"])


def test_a_question_without_an_answer_can_be_asked_again(open_window: OpenWindow, server: FakeChatServer) -> None:
    """Stopped before its first word, an answer is missing; the page says so, and Retry asks again."""
    with open_window() as page:
        held = server.next(hold_after=-1)
        come_in(page, server.name())
        write(page, "Are you there?")
        expect_said(page, "Are you there?")
        assert held.held.wait(PATIENCE / 1000)
        page.locator("#chat-stop").click()
        expect(said(page, "bot").last).to_have_text(UNANSWERED)
        press(page, "Retry")
        assert "Bridges" in whole_answer(page)
        expect(said(page, "user")).to_have_text(["Are you there?"])


def test_what_is_no_longer_read_is_marked(open_window: OpenWindow, model: str) -> None:
    """When a conversation outgrows the model, a line shows what is no longer read, and a note says why."""
    with open_window() as page:
        come_in(page, model, 40)
        for text in ("First " + "x" * 60, "Second " + "y" * 60, "Third " + "z" * 60):
            answer_to(page, text)
        beginning = WORDS["say.left_out_above"].partition("{")[0]
        expect(page.locator("#chat-conversation").get_by_text(beginning)).to_be_visible()
        expect(page.locator("#chat-view .note").last).to_contain_text("256")
        expect(said(page, "user")).to_have_count(3)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_follow_a_conversation(open_window: OpenWindow, server: FakeChatServer, theme: str) -> None:
    """The checker axe finds nothing serious or critical in a conversation with thoughts, code and a note."""
    with open_window(f"?__theme={theme}", reduced_motion="reduce") as page:
        server.next(pieces=["<think>Hm</think>Use `x`:\n\n```python\nx = 1  # one\n```\n[more](https://example.org)"])
        come_in(page, server.name())
        write(page, "How?")
        whole_answer(page)
        page.locator("#chat-this button").first.click()
        page.locator("#chat-delete").click()
        expect(page.locator("#chat-delete-now")).to_be_visible()
        page.locator("#footer-line summary").click()
        assert violations(page, "tab.chat") == []


def test_an_example_begins_a_conversation(open_window: OpenWindow, model: str) -> None:
    """One click on a beginning asks for its answer."""
    with open_window() as page:
        come_in(page, model)
        example = page.locator("#chat-conversation").get_by_role("button").first
        text = example.inner_text().strip()
        example.click()
        expect_said(page, text)
        whole_answer(page)
        expect(titles(page)).to_have_text([title_of(text)])
