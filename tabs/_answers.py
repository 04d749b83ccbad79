"""The answer of any text task as HTML, drawn from its `result` alone: several stand beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.messages import CLOSE_THINKING
from core.tasks.text.thinking import split_thinking
from core.words import say
from tabs._events import Visit
from tabs._views import bars, coloured, folded, paragraph, plain_text


def draw_answer(task: str, result: Any, text: str, visit: Visit) -> str:
    """Draw what a task's endpoint gives as `result`; `text` is what it was asked."""
    return _DRAWERS[task](result, text, visit) or paragraph(say("say.no_answer"), visit.language)


def _labels(result: Any, _: str, __: Visit) -> str:
    return bars((one["label"], one["score"]) for one in result)


def _entities(result: Any, text: str, _: Visit) -> str:
    segments, read = [], 0
    for one in sorted(result, key=lambda one: one["start"]):
        segments += [(text[read : one["start"]], None), (text[one["start"] : one["end"]], _type_of(one))]
        read = one["end"]
    return coloured([*segments, (text[read:], None)], sorted({_type_of(one) for one in result}))


def _type_of(entity: Mapping[str, Any]) -> str:
    return str(entity.get("entity_group") or entity.get("entity"))


def _answers(result: Any, _: str, __: Visit) -> str:
    found = result if isinstance(result, list) else [result]
    shown = [(one["answer"], one["score"]) for one in found if one["answer"]]
    return bars(shown) if shown else ""


def _gaps(result: Any, _: str, __: Visit) -> str:
    each = result if result and isinstance(result[0], list) else [result]
    return "".join(bars((one["token_str"], one["score"]) for one in gap) for gap in each)


def _texts(result: Any, _: str, __: Visit) -> str:
    return "".join(plain_text(str(next(iter(one.values())))) for one in result)


def _said(result: Any, _: str, visit: Visit) -> str:
    """Draw the last message of the conversation; what was thought before it is folded."""
    text = str(result[0]["generated_text"][-1]["content"])
    found = split_thinking(text, opened=CLOSE_THINKING in text)
    thoughts = folded(visit.say(say("say.thoughts")), found.thinking.splitlines()) if found.thinking else ""
    return thoughts + plain_text(found.answer)


_DRAWERS: Mapping[str, Callable[[Any, str, Visit], str]] = {
    "text-classification": _labels,
    "token-classification": _entities,
    "question-answering": _answers,
    "fill-mask": _gaps,
    "chat": _said,
    **dict.fromkeys(("text-generation", "translation", "summarization"), _texts),
}
