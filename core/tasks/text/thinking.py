"""What a model thought before it answered: the part between <think> and </think>."""

from __future__ import annotations

from dataclasses import dataclass

from core.messages import CLOSE_THINKING, OPEN_THINKING


@dataclass(frozen=True)
class Thought:
    """An answer's two parts; `done` is False while the model still thinks."""

    thinking: str
    answer: str
    done: bool = True


def split_thinking(text: str, *, opened: bool = False) -> Thought:
    """Split a text; `opened` = its prompt ended with <think>, so that it begins inside.

    Only what stands at the beginning is thinking: a tag in the middle of an answer is a word like any other.
    """
    head = text.lstrip()
    begun = head.startswith(OPEN_THINKING)
    if not begun and not opened:
        return Thought("", text)
    inside = head.removeprefix(OPEN_THINKING) if begun else text
    thinking, closed, answer = inside.partition(CLOSE_THINKING)
    return Thought(thinking.strip(), answer.lstrip() if closed else "", done=bool(closed))
