"""A table of runs as a file: CSV, JSON, Markdown or LaTeX."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.evaluation.dashboard.row import Number, RunRow
from core.tables import write_csv

COLUMNS = ("name", "kind", "state", "task", "model", "data", "data_hash", "created", "seconds", "tags", "job")
READ = ("name", "task", "data")
"""Columns of a table for people, before its metrics."""


def write_runs_json(path: Path, rows: Sequence[RunRow], metrics: Sequence[str]) -> None:
    """Write a list of objects, with those metrics; raises OSError, as the others do."""
    told = [
        replace(row, metrics={key: one for key, one in row.metrics.items() if key in metrics}).as_dict() for row in rows
    ]
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_runs_csv(path: Path, rows: Sequence[RunRow], metrics: Sequence[str]) -> None:
    """Write a line a run, each metric with the ends of its interval in two columns behind it; times as ISO 8601."""
    ends = [f"{name}{end}" for name in metrics for end in ("", "_low", "_high")]
    write_csv(path, (*COLUMNS, *ends), [_cells(row, metrics) for row in rows])


def _cells(row: RunRow, metrics: Sequence[str]) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in COLUMNS}
    told["created"] = datetime.fromtimestamp(row.created, UTC).isoformat(timespec="seconds")
    told["tags"] = ", ".join(row.tags)
    for name in metrics:
        found = row.metrics.get(name)
        ends = (found.value, found.low, found.high) if found else (None,) * 3
        told |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
    return told


def write_runs_markdown(path: Path, rows: Sequence[RunRow], metrics: Sequence[str]) -> None:
    """Write a table for a model card."""
    frame = _frame(rows, metrics).map(lambda cell: cell.replace("|", r"\|"))
    path.write_text(frame.to_markdown(index=False, disable_numparse=True) + "\n", encoding="utf-8")


def write_runs_latex(path: Path, rows: Sequence[RunRow], metrics: Sequence[str]) -> None:
    """Write a tabular with the rules of booktabs; what LaTeX would read as a command is escaped."""
    frame = _frame(rows, metrics)
    style = frame.rename(columns=_escaped).style.hide(axis="index").format(escape="latex")
    path.write_text(style.to_latex(hrules=True), encoding="utf-8")


def _escaped(name: str) -> str:
    return name.replace("_", r"\_").replace("%", r"\%").replace("&", r"\&").replace("#", r"\#")


def _frame(rows: Sequence[RunRow], metrics: Sequence[str]) -> Any:
    import pandas as pd

    told = [
        [*(str(getattr(row, name)) for name in READ), *(in_words(row.metrics.get(name)) for name in metrics)]
        for row in rows
    ]
    return pd.DataFrame(told, columns=[*READ, *metrics], dtype=str)


def in_words(number: Number | None) -> str:
    """Return "0.8123 [0.7901, 0.8333]", without the interval where there is none, "" where there is no number."""
    if number is None:
        return ""
    if number.low is None or number.high is None:
        return f"{number.value:.4g}"
    return f"{number.value:.4g} [{number.low:.4g}, {number.high:.4g}]"


@dataclass(frozen=True)
class FileType:
    """How a table of runs is written."""

    suffix: str
    write: Callable[[Path, Sequence[RunRow], Sequence[str]], None]


FILE_TYPES: Mapping[str, FileType] = {
    "csv": FileType(".csv", write_runs_csv),
    "json": FileType(".json", write_runs_json),
    "markdown": FileType(".md", write_runs_markdown),
    "latex": FileType(".tex", write_runs_latex),
}
