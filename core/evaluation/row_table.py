"""rows.parquet: a line for each row, with what each model answered and how good that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.evaluation.data import EvaluationData
from core.evaluation.reading import input_of, reference_of, shown

if TYPE_CHECKING:
    from core.evaluation.judging import Judged


def rows_of(data: EvaluationData, judged: Sequence[Judged]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and lines of rows.parquet; `detail` is an answer in full, as JSON."""
    columns = ["row", "input", "reference"]
    rows: list[dict[str, Any]] = [
        {
            "row": row["row"],
            "input": input_of(row, data.shape),
            "reference": shown(reference_of(row, data.shape), data.shape),
        }
        for row in data.rows
    ]
    for one in judged:
        names = [f"{one.model} {part}" for part in ("prediction", "score", "problem", "detail")]
        columns.extend(names)
        for line, cells in zip(rows, _cells(one, data.shape), strict=True):
            line.update(zip(names, cells, strict=True))
    return columns, rows


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
        detail = json.dumps(answer, ensure_ascii=False) if isinstance(answer, Mapping | list) else None
        cells.append((shown(answer, shape), score, None, detail))
    return cells
