"""Claim: metrics of 100,000 rows come no slower than the evaluate library's own way of computing them.

`core.evaluation.load(name).compute(predictions=…, references=…)` beside a Metric of the library with the same columns
and the same function underneath (scikit-learn's), both given the same lists, in turns. The library writes its rows to
Arrow files and reads them back; ours stay in memory. Target: at least as fast for each metric; values equal to 1e-9.

On a quiet machine: `python -m bench.metrics`; a quick look: `python -m bench.metrics --rows 5000 --rounds 2`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._plain_metrics import plain_metric
from core.evaluation.loading import load
from core.quiet import quieten

CLASSES = 5
APART = 1e-9
"""Largest difference of two values that are called equal."""


@dataclass(frozen=True)
class Compared:
    """A metric by its name, its type of column, its keywords, and scikit-learn's function with them."""

    name: str
    kind: str
    keywords: dict[str, Any]
    score: Callable[[Any, Any], float]


def compared() -> tuple[Compared, ...]:
    """Return what is measured."""
    from sklearn import metrics

    return (
        Compared("accuracy", "int32", {}, metrics.accuracy_score),
        Compared("f1", "int32", {"average": "macro"}, partial(metrics.f1_score, average="macro")),
        Compared("matthews_correlation", "int32", {}, metrics.matthews_corrcoef),
        Compared("mse", "float64", {}, metrics.mean_squared_error),
    )


def rows(kind: str, count: int) -> tuple[list[Any], list[Any]]:
    """Return predictions and references, two of three of them equal."""
    import numpy as np

    chance = np.random.default_rng(count)
    references, others = (
        chance.integers(CLASSES, size=count) if kind == "int32" else chance.random(count) for _ in range(2)
    )
    predictions = np.where(chance.random(count) < 2 / 3, references, others)
    return predictions.tolist(), references.tolist()


def _timed(compute: Callable[[], Any]) -> tuple[float, float]:
    """Return milliseconds, and the metric's one value."""
    started = time.perf_counter()
    (value,) = compute().values()
    return (time.perf_counter() - started) * 1000, float(value)


def measure(count: int, rounds: int) -> Outcome:
    """Compute each metric by both, in turns, after one round that does not count."""
    quieten("datasets")
    quieten("evaluate")
    lines, apart = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for one in compared():
            predictions, references = rows(one.kind, count)
            given = {"predictions": predictions, "references": references}
            plain = plain_metric(one.name, one.kind, one.score, folder)
            ways = (
                lambda one=one, given=given: _timed(lambda: load(one.name).compute(**given, **one.keywords)),
                lambda plain=plain, given=given: _timed(lambda: plain.compute(**given)),
            )
            for way in ways:
                way()
            ours, theirs = alternate(rounds, *ways)
            apart = max(apart, abs(ours[0][1] - theirs[0][1]))
            medians = [statistics.median(milliseconds for milliseconds, _ in side) for side in (ours, theirs)]
            lines.append(Measure(f"{one.name} of all rows", "ms", *medians, target=1.0))
    return Outcome(
        "metrics",
        "metrics come no slower than the evaluate library's own way of computing them",
        tuple(lines),
        apart <= APART,
        f"values apart by at most {apart:.1e} (allowed {APART:.0e})",
        {"rows": count, "rounds": rounds},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("metrics", __doc__, rows=100_000, rounds=7).parse_args(argv)
    return report(measure(given.rows, given.rounds), given.json)


if __name__ == "__main__":
    sys.exit(main())
