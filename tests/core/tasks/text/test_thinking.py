"""What a model thought, apart from what it answered."""

from __future__ import annotations

import pytest

from core.tasks.text.thinking import Thought, split_thinking


@pytest.mark.parametrize(
    ("text", "opened", "expected"),
    [
        ("Yes.", False, Thought("", "Yes.")),
        ("<think>\nHm.\n</think>\n\nYes.", False, Thought("Hm.", "Yes.")),
        ("\n<think>Hm", False, Thought("Hm", "", done=False)),
        ("Hm.</think>Yes.", True, Thought("Hm.", "Yes.")),
        ("Hm.", True, Thought("Hm.", "", done=False)),
        ("Write <think> to think.", False, Thought("", "Write <think> to think.")),
    ],
)
def test_thinking_is_split_off(text: str, opened: bool, expected: Thought) -> None:
    """The part before </think> is thinking, whether the answer or its prompt opened it; later tags are words."""
    assert split_thinking(text, opened=opened) == expected
