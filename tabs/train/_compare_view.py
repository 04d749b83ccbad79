"""What a page shows of base and run side by side: both answers as their task shows them, and which model gave each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from core.training.compare import Answered, Question, SideBySide
from core.words import say
from tabs._events import Visit
from tabs._views import bars, coloured, notes, paragraph, plain_text, ran_on


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
    drawn = _DRAWERS[task](one.result, asked, visit) or paragraph(say("say.no_answer"), visit.language)
    return drawn + ran_on(one.provenance.as_dict(), visit.language)


def _labels(result: Any, _: Question, __: Visit) -> str:
    return bars((one["label"], one["score"]) for one in result)


def _entities(result: Any, asked: Question, _: Visit) -> str:
    segments, read = [], 0
    for one in sorted(result, key=lambda one: one["start"]):
        segments += [(asked.text[read : one["start"]], None), (asked.text[one["start"] : one["end"]], _type_of(one))]
        read = one["end"]
    return coloured([*segments, (asked.text[read:], None)], sorted({_type_of(one) for one in result}))


def _type_of(entity: Mapping[str, Any]) -> str:
    return str(entity.get("entity_group") or entity.get("entity"))


def _answers(result: Any, _: Question, __: Visit) -> str:
    found = result if isinstance(result, list) else [result]
    return bars((one["answer"], one["score"]) for one in found if one["answer"])


def _gaps(result: Any, _: Question, __: Visit) -> str:
    each = result if result and isinstance(result[0], list) else [result]
    return "".join(bars((one["token_str"], one["score"]) for one in gap) for gap in each)


def _texts(result: Any, _: Question, __: Visit) -> str:
    return "".join(plain_text(str(next(iter(one.values())))) for one in result)


_DRAWERS: Mapping[str, Callable[[Any, Question, Visit], str]] = {
    "text-classification": _labels,
    "token-classification": _entities,
    "question-answering": _answers,
    "fill-mask": _gaps,
    **dict.fromkeys(("text-generation", "translation", "summarization"), _texts),
}
