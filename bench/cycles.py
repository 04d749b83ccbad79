"""Claim: fifty times loading and unloading a model leave the process within 5 % of its size after the first.

Atelier's side borrows the sentiment starter from a registry, asks it once and releases it; the cheat sheet's side loads
a pipeline over the merged checkpoint, asks it once, and says `del model; gc.collect()`. Each runs in a process of its
own, one after the other; resident memory is read after each unloading.
Targets: the largest size after any cycle at most 1.05 x the size after the first; the same answers from first to last.

On a quiet machine: `python -m bench.cycles`; a quick look: `python -m bench.cycles --cycles 5`.
Other work on the machine makes it slower but hardly changes the sizes.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench._agreement import Tolerance, agreement
from bench._measure import Measure, Outcome, arguments, report
from bench._starter import STARTER, plain_pipeline, registry, save_plain_apart
from core.machine.memory import resident_bytes
from core.tasks.text.text_classification import TextClassificationSettings, classify_text

TEXT = "I loved every minute of it."


@dataclass(frozen=True)
class Curve:
    """Resident bytes and the answer, one of each a cycle."""

    sizes: tuple[int, ...]
    answers: tuple[dict[str, Any], ...]

    @property
    def growth(self) -> float:
        """The largest size after any cycle, as a multiple of the size after the first."""
        return max(self.sizes) / self.sizes[0]


def ours(_: Path, cycles: int) -> Curve:
    """Borrow, ask, release."""
    models, settings = registry(), TextClassificationSettings(text=TEXT, model=STARTER, top_k=1)
    sizes, answers = [], []
    for _cycle in range(cycles):
        answers.append(classify_text(settings, models).result[0])
        models.release_all()
        sizes.append(resident_bytes())
    return Curve(tuple(sizes), tuple(answers))


def plain(folder: Path, cycles: int) -> Curve:
    """Load, ask, delete, collect."""
    sizes, answers = [], []
    for _cycle in range(cycles):
        model = plain_pipeline(folder)
        answers.append(model(TEXT)[0])
        del model
        gc.collect()
        sizes.append(resident_bytes())
    return Curve(tuple(sizes), tuple(answers))


def measure(cycles: int) -> Outcome:
    """Run one side after the other, each in a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        folder = save_plain_apart(Path(name))
        curves = []
        for side in (ours, plain):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                curves.append(process.submit(side, folder, cycles).result())
    return outcome(curves[0], curves[1])


def outcome(one: Curve, other: Curve) -> Outcome:
    """Compare growth, and every answer with the plain side's first."""
    answers = (*one.answers, *other.answers)
    same = agreement(answers, [other.answers[0]] * len(answers), Tolerance(score=0.02))
    both = (one, other)
    return Outcome(
        "cycles",
        "loading and unloading again and again leaves the process within 5 % of its size after the first cycle",
        (
            Measure("after the first cycle", "MB", *(curve.sizes[0] / 1e6 for curve in both)),
            Measure("smallest after a cycle", "MB", *(min(curve.sizes) / 1e6 for curve in both)),
            Measure("largest after a cycle", "MB", *(max(curve.sizes) / 1e6 for curve in both)),
            Measure("after the last cycle", "MB", *(curve.sizes[-1] / 1e6 for curve in both)),
            Measure("growth: ours", "x", one.growth, other.growth, target=1.05, compare="ours"),
            Measure("growth: plain", "x", other.growth, other.growth, compare="ours"),
        ),
        same.equal,
        same.words,
        {"cycles": len(one.sizes)},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("cycles", __doc__, cycles=50).parse_args(argv)
    return report(measure(given.cycles), given.json)


if __name__ == "__main__":
    sys.exit(main())
