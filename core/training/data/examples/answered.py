"""A question, the text that answers it, and where in the text the answers stand, as SQuAD writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.training.data.examples.cells import BadCellError, is_blank, parsed, shortened, text_in
from core.training.data.prepared import Row
from core.words import say


def read_answered(cells: Mapping[str, Any]) -> Row:
    """Read question, context and answers: {"text": [...], "answer_start": [...]}, a list of answers, or one text.

    A text without a start is looked for in the context. No answer at all means that the context has none (SQuAD 2).
    """
    context = text_in(cells["context"], "context")
    answers = [_placed(text, start, context) for text, start in _answers(cells)]
    return {
        "question": text_in(cells["question"], "question"),
        "context": context,
        "answers": {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]},
    }


def _answers(cells: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    found = parsed(cells["answers"])
    if isinstance(found, Mapping) and isinstance(found.get("text"), str):
        return [_one(found)]
    if isinstance(found, Mapping):
        return _parallel(found)
    if isinstance(found, list):
        return [_one(one) for one in found]
    if is_blank(found):
        return []
    return [(text_in(found, "answers"), _start(cells.get("answer_start")))]


def _parallel(found: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Read SQuAD's two lists."""
    texts, starts = found.get("text"), found.get("answer_start")
    if not isinstance(texts, list) or (starts is not None and not isinstance(starts, list)):
        raise BadCellError("answers", say("say.data_answers_shape"))
    if starts is not None and len(starts) != len(texts):
        raise BadCellError("answers", say("say.data_answers_count", texts=len(texts), starts=len(starts)))
    pairs = zip(texts, starts or [None] * len(texts), strict=True)
    return [(text_in(text, "answers"), _start(start)) for text, start in pairs]


def _one(one: Any) -> tuple[str, int | None]:
    if isinstance(one, Mapping):
        start = one.get("answer_start", one.get("start"))
        return text_in(one.get("text"), "answers"), _start(start)
    return text_in(one, "answers"), None


def _start(cell: Any) -> int | None:
    if is_blank(cell):
        return None
    try:
        found = float(cell)
    except (TypeError, ValueError):
        found = -1.0
    if found < 0 or found != int(found):
        raise BadCellError("answers", say("say.data_answer_start", start=cell))
    return int(found)


def _placed(text: str, start: int | None, context: str) -> tuple[str, int]:
    """Return the answer with its start; refuses one that stands elsewhere, or nowhere."""
    found = context.find(text)
    if found < 0:
        raise BadCellError("answers", say("say.data_answer_nowhere", answer=shortened(text)))
    if start is None:
        return text, found
    if context[start : start + len(text)] != text:
        there = shortened(context[start : start + len(text)])
        raise BadCellError(
            "answers", say("say.data_answer_elsewhere", answer=shortened(text), start=start, there=there, found=found)
        )
    return text, start
