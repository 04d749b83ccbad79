"""Claim: one request through the app's skill costs at most 10 ms more than a direct call of the pipeline.

Both answer the same sentences with the same weights in the same process, in turns: `classify_text` with a warm
registry (limits, borrow, tokenize, the queue of the compute thread, provenance), and the transformers pipeline over the
merged checkpoint. Medians are compared. Targets: at most 10 ms more; the same labels, scores within 0.001
(0.02 where the planner runs the starter in bfloat16).

On a quiet machine: `python -m bench.request`; a quick look: `python -m bench.request --runs 20`.
Where other work keeps the cores busy, the medians of both sides grow, and so may their difference.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench._agreement import Tolerance, agreement
from bench._measure import Measure, Outcome, arguments, report
from bench._starter import STARTER, plain_pipeline, registry, save_plain_apart, tolerance
from bench._texts import short_texts
from core.tasks.text.text_classification import TextClassificationSettings, classify_text

Ask = Callable[[str], dict[str, Any]]


def timed(ask: Ask, text: str) -> tuple[float, dict[str, Any]]:
    """Return the milliseconds that one question took, and its answer."""
    started = time.perf_counter()
    answer = ask(text)
    return (time.perf_counter() - started) * 1000, answer


def measure(runs: int) -> Outcome:
    """Ask both sides `runs` questions each, in turns, after ten that do not count."""
    models = registry()
    with tempfile.TemporaryDirectory() as folder:
        pipe = plain_pipeline(save_plain_apart(Path(folder)))

    def ours(text: str) -> dict[str, Any]:
        return classify_text(TextClassificationSettings(text=text, model=STARTER, top_k=1), models).result[0]

    def plain(text: str) -> dict[str, Any]:
        best: dict[str, Any] = pipe(text)[0]
        return best

    for text in short_texts(10, seed=1):
        ours(text), plain(text)
    found = [(timed(ours, text), timed(plain, text)) for text in short_texts(runs)]
    return outcome([one for one, _ in found], [other for _, other in found], tolerance(models))


def outcome(
    ours: Sequence[tuple[float, dict[str, Any]]], plain: Sequence[tuple[float, dict[str, Any]]], allowed: Tolerance
) -> Outcome:
    """Compare medians and answers."""
    times = [[milliseconds for milliseconds, _ in side] for side in (ours, plain)]
    same = agreement([answer for _, answer in ours], [answer for _, answer in plain], allowed)
    medians = [statistics.median(side) for side in times]
    best = [min(side) for side in times]
    return Outcome(
        "request",
        "one request through the app's skill costs at most 10 ms more than a direct pipeline call",
        (
            Measure("one request, median", "ms", *medians, target=10.0, compare="difference"),
            Measure("one request, fastest", "ms", *best, compare="difference"),
        ),
        same.equal,
        same.words,
        {"runs": len(ours)},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("request", __doc__, runs=200).parse_args(argv)
    return report(measure(given.runs), given.json)


if __name__ == "__main__":
    sys.exit(main())
