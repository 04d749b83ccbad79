"""rows.parquet: a line for each row, with what each model answered and how good that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.evaluation.data import EvaluationData
from core.evaluation.material import Material
from core.evaluation.reading import input_of, reference_of, shown
from core.messages import ROLES
from core.training.data.prepared import ANSWERS, CHAT, COMPLETION, WORDS, Row

if TYPE_CHECKING:
    from core.evaluation.judging import Judged

_, USER, ASSISTANT = ROLES


def rows_of(data: EvaluationData, judged: Sequence[Judged]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and lines of rows.parquet; `expected` and `detail` are reference and answer as JSON."""
    columns = ["row", "input", "reference", "expected"]
    rows: list[dict[str, Any]] = [
        {
            "row": row["row"],
            "input": input_of(row, data.shape),
            "reference": shown(reference_of(row, data.shape), data.shape),
            "expected": json.dumps(reference_of(row, data.shape), ensure_ascii=False),
        }
        for row in data.rows
    ]
    for one in judged:
        names = columns_of(one.model)
        columns.extend(names)
        for line, cells in zip(rows, _cells(one, data.shape), strict=True):
            line.update(zip(names, cells, strict=True))
    return columns, rows


def columns_of(model: str) -> list[str]:
    """Return the columns of one model: prediction, score, problem, detail."""
    return [f"{model} {part}" for part in ("prediction", "score", "problem", "detail")]


def material_of(lines: Sequence[Mapping[str, Any]], model: str, task: str, shape: str) -> tuple[Material, list[int]]:
    """Read a model's answers back out of the lines, with the places of the rows that it answered."""
    detail = columns_of(model)[-1]
    places = [place for place, line in enumerate(lines) if line.get(detail) is not None]
    rows = [_row(str(lines[place]["input"]), json.loads(lines[place]["expected"]), shape) for place in places]
    answers = [json.loads(lines[place][detail]) for place in places]
    return Material(task, shape, rows, answers), places


def _row(asked: str, expected: Any, shape: str) -> Row:
    """Return a row that has this reference, and an input that is told as it was."""
    if shape == WORDS:
        return {"tokens": expected, "tags": expected}
    if shape == ANSWERS:
        return {"question": "", "context": asked, "answers": {"text": expected}}
    if shape in (CHAT, COMPLETION):
        said = ((USER, asked), (ASSISTANT, expected))
        return {"messages": [{"role": role, "content": content} for role, content in said]}
    return {"text": asked, "label": expected, "source": asked, "target": expected}


def _cells(judged: Judged, shape: str) -> list[tuple[str | None, float | None, str | None, str | None]]:
    """Return prediction, score, problem and detail of each row."""
    found: Mapping[int, tuple[Any, float]] = {
        place: (answer, score)
        for place, answer, score in zip(judged.places, judged.material.answers, judged.scores, strict=True)
    }
    cells: list[tuple[str | None, float | None, str | None, str | None]] = []
    for place, reply in enumerate(judged.answered.replies):
        if place not in found:
            cells.append((None, None, reply.problem, None))
            continue
        answer, score = found[place]
        cells.append((shown(answer, shape), score, None, json.dumps(answer, ensure_ascii=False)))
    return cells
