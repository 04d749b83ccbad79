"""What is said in a conversation: read, refused in words, joined."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput
from core.messages import MOST_CHARACTERS, MOST_MESSAGES, Message, as_dicts, first_that_fits, joined, read_messages

SAID = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "你好 👋"}]


@pytest.mark.parametrize("value", [SAID, tuple(SAID), json.dumps(SAID), [{**one, "metadata": None} for one in SAID]])
def test_lists_and_json_are_read(value: Any) -> None:
    """A list and its JSON mean the same, and what else a message carries is left out."""
    assert as_dicts(read_messages(value)) == SAID


def test_an_answer_is_the_next_history() -> None:
    """The result of a chat, ours or the pipeline's, may be handed on as it is."""
    assert as_dicts(read_messages([{"generated_text": SAID}])) == SAID


@pytest.mark.parametrize("value", [None, "", "  ", [], ()])
def test_nothing_was_said(value: Any) -> None:
    """No history is an empty one."""
    assert read_messages(value) == ()


def test_parts_of_text_are_one_text() -> None:
    """A content may be a list of parts of text, as OpenAI and Gradio write it."""
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert read_messages([{"role": "user", "content": parts}]) == (Message("user", "one\ntwo"),)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("{not json", "error.history_no_list"),
        ({"role": "user", "content": "x"}, "error.history_no_list"),
        (7, "error.history_no_list"),
        (["hello"], "error.history_bad_message"),
        ([{"role": "robot", "content": "x"}], "error.history_bad_message"),
        ([{"role": "user"}], "error.history_bad_message"),
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "error.history_bad_message"),
        ([*SAID, {"role": "system", "content": "x"}], "error.history_late_system"),
        ([SAID[0]] * (MOST_MESSAGES + 1), "error.history_too_many"),
        ([{"role": "user", "content": "x" * (MOST_CHARACTERS + 1)}], "error.history_too_long"),
    ],
)
def test_what_is_no_conversation_is_refused(value: Any, key: str) -> None:
    """What cannot be read is a sentence, with the place or the numbers."""
    with pytest.raises(InvalidInput) as caught:
        read_messages(value)
    assert caught.value.sentence.key == key
    assert str(caught.value)


def test_neighbours_of_one_role_are_joined() -> None:
    """Empty messages go, and two questions in a row become one: most templates want the roles to alternate."""
    said = [Message("user", "a"), Message("assistant", " "), Message("user", "b"), Message("assistant", "c")]
    assert joined(said) == (Message("user", "a\n\nb"), Message("assistant", "c"))


def test_the_newest_messages_fit() -> None:
    """As many as both limits allow fit, from a question on; a request takes exactly these."""
    question, answer = Message("user", "x"), Message("assistant", "y")
    talk = [question, answer] * MOST_MESSAGES
    assert first_that_fits([]) == 0
    assert first_that_fits(talk[:MOST_MESSAGES]) == 0
    assert first_that_fits(talk) == MOST_MESSAGES
    assert first_that_fits([*talk, question]) == MOST_MESSAGES + 2
    assert len(read_messages(as_dicts(talk[first_that_fits(talk) :]))) == MOST_MESSAGES
    long = [question, Message("assistant", "y" * (MOST_CHARACTERS - 2)), question, answer]
    assert first_that_fits(long) == 2
    assert first_that_fits(long[1:3]) == 0
    assert first_that_fits([Message("user", "x" * (MOST_CHARACTERS + 1))]) == 1
