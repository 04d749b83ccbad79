"""What a page shows of base and run side by side: both answers as their task shows them, and which model gave each."""

from __future__ import annotations

from html import escape
from typing import Any

from core.tasks.text.question import Answered, Question
from core.training.compare import SideBySide
from core.words import say
from tabs._answers import draw_answer
from tabs._events import Visit
from tabs._views import notes, ran_on


def show_both(found: SideBySide, asked: Question, visit: Visit) -> tuple[str, dict[str, Any]]:
    """Draw both, and return the same for programs."""
    drawn = "".join(
        f"<section><h4>{escape(visit.say(say(f'say.train_side_{side}', name=one.model)))}</h4>"
        f"{_side(found.task, one, asked, visit)}</section>"
        for side, one in (("base", found.base), ("run", found.adapted))
    )
    same = notes([say("say.train_same_answer")], visit.language) if found.same else ""
    return f'<div class="sides">{drawn}</div>{same}', as_result(found)


def as_result(found: SideBySide) -> dict[str, Any]:
    """Return both for programs."""
    return {
        "task": found.task,
        "same": found.same,
        "base": _plain(found.base),
        "adapted": _plain(found.adapted),
    }


def _plain(one: Answered) -> dict[str, Any]:
    return {
        "model": one.model,
        "result": one.result,
        "refusal": str(one.refusal) if one.refusal else None,
        "provenance": one.provenance.as_dict() if one.provenance else None,
    }


def _side(task: str, one: Answered, asked: Question, visit: Visit) -> str:
    if one.refusal or one.provenance is None:
        return notes([one.refusal], visit.language) if one.refusal else ""
    return draw_answer(task, one.result, asked.text, visit) + ran_on(one.provenance.as_dict(), visit.language)
