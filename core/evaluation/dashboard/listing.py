"""Which runs are shown, and in which order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.errors import InvalidInput
from core.evaluation.dashboard.row import KINDS, RunRow
from core.fields import choice, comma_separated, enforce, number, text

COLUMNS = ("created", "name", "kind", "state", "task", "model", "data", "seconds")
"""What a table of runs can be sorted by, besides its metrics."""


@dataclass(frozen=True, kw_only=True)
class RunsSettings:
    """Filter and order of a table of runs."""

    kind: str = choice("all", ("all", *KINDS))
    search: str = text(limit=200, optional=True)
    """Words that must all occur: in names, models, data, tasks, states, tags."""
    tags: str = text(limit=400, optional=True)
    """Tags that a run must all have, separated by commas."""
    sort: str = text(limit=100, default="created")
    """A column, or the name of a metric; runs without it come last."""
    descending: bool = True
    limit: int = number(100, low=1, high=10_000)
    """Lines at most."""

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits."""
        enforce(self)


@dataclass(frozen=True)
class Listed:
    """Lines of the table, and what else there is."""

    rows: tuple[RunRow, ...]
    found: int
    """Lines that the filter let through, shown or not."""
    metrics: tuple[str, ...]
    """Metrics of the lines shown, the most frequent first."""
    tags: tuple[str, ...]
    """All tags that this owner's runs have."""


def listed(rows: Sequence[RunRow], settings: RunsSettings) -> Listed:
    """Filter and sort; raises InvalidInput for an order that no run has."""
    tags = tuple(sorted({tag for row in rows for tag in row.tags}))
    words, wanted = settings.search.lower().split(), set(comma_separated(settings.tags))
    found = [row for row in rows if _fits(row, settings.kind, words, wanted)]
    metrics = metrics_of(rows)
    if settings.sort not in (*COLUMNS, *metrics):
        raise InvalidInput("error.runs_no_such_order", name=settings.sort, names=", ".join((*COLUMNS, *metrics)))
    shown = tuple(_sorted(found, settings)[: settings.limit])
    return Listed(shown, len(found), metrics_of(shown), tags)


def metrics_of(rows: Iterable[RunRow]) -> tuple[str, ...]:
    """Return the names of all metrics, the most frequent first, else in the order in which they come."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in row.metrics:
            counts[name] = counts.get(name, 0) + 1
    return tuple(sorted(counts, key=lambda name: -counts[name]))


def _fits(row: RunRow, kind: str, words: Sequence[str], tags: set[str]) -> bool:
    return kind in ("all", row.kind) and tags <= set(row.tags) and all(word in row.words for word in words)


def _sorted(rows: list[RunRow], settings: RunsSettings) -> list[RunRow]:
    """Sort stably; where a line has no number for the order, it comes last in either direction."""
    if settings.sort in COLUMNS:
        return sorted(rows, key=lambda row: getattr(row, settings.sort), reverse=settings.descending)

    def place(row: RunRow) -> float:
        found = row.metrics.get(settings.sort)
        if found is None or math.isnan(found.value):
            return math.inf
        return -found.value if settings.descending else found.value

    return sorted(rows, key=place)
