"""Claim: 2,000 labelled texts are evaluated at three times the speed of a loop as the evaluate library's evaluator.

The evaluator gives the column of texts to a pipeline, which asks for one after the other, and the labels that come out
to a metric; its steps stand here, for with transformers 5 the evaluator of evaluate 0.4.6 breaks. Atelier runs the job
behind "Evaluate": it reads the CSV, computes in packed batches, keeps every answer, measures with intervals, charts and
rows. Both use the same weights in the same process, in turns, each time with rows that neither has seen before.
Targets: at least 3 x the rows per second; accuracies within 0.5 % (bfloat16 may turn a close call).

On a quiet machine: `python -m bench.evaluation`; a quick look: `python -m bench.evaluation --rows 200`.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._plain_metrics import plain_metric
from bench._starter import STARTER, plain_pipeline, save_plain_apart
from bench._texts import mixed_texts
from core.atelier import Atelier, open_atelier
from core.evaluation.settings import EvaluateSettings
from core.jobs.runner import State
from core.quiet import quieten
from core.settings import Settings

LABELS = ("negative", "positive")
APART = 0.005
"""Largest difference of two accuracies that are called equal."""


def labelled(count: int, seed: int) -> list[dict[str, str]]:
    """Return texts with labels, which are right for some."""
    return [{"text": text, "label": LABELS[len(text) % 2]} for text in mixed_texts(count, seed=seed)]


class Ours:
    """Atelier's way: a job for each share."""

    def __init__(self, atelier: Atelier, folder: Path) -> None:
        """Keep uploads in `folder`."""
        self._atelier, self._folder = atelier, folder

    def __call__(self, rows: Sequence[dict[str, str]]) -> float:
        """Evaluate, and return the accuracy."""
        upload = self._folder / "rows.csv"
        with upload.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ("text", "label"))
            writer.writeheader()
            writer.writerows(rows)
        desk, jobs = self._atelier.evaluation_desk, self._atelier.evaluations
        job = desk.start(EvaluateSettings(file=str(upload), models=STARTER, metrics="accuracy"))
        while (state := jobs.state(job)).alive:
            time.sleep(0.01)
        if state is not State.SUCCEEDED:
            raise RuntimeError(f"the job ended {state.value}: {jobs.log(job)}")
        return float(desk.read(job)["models"][0]["metrics"][0]["values"][0]["value"])


class Plain:
    """The library's way: its evaluator's steps with the pipeline and a metric."""

    def __init__(self, folder: Path) -> None:
        """Load the checkpoint and make the metric."""
        from sklearn.metrics import accuracy_score

        self._pipe = plain_pipeline(save_plain_apart(folder / "model"))
        self._metric = plain_metric("accuracy", "int32", accuracy_score, str(folder))

    def __call__(self, rows: Sequence[dict[str, str]]) -> float:
        """Evaluate, and return the accuracy."""
        places = {label: place for place, label in enumerate(LABELS)}
        answers = self._pipe([row["text"] for row in rows], truncation=True)
        predictions = [places[answer["label"].lower()] for answer in answers]
        references = [places[row["label"]] for row in rows]
        return float(self._metric.compute(predictions=predictions, references=references)["accuracy"])


def measure(count: int, shares: int) -> Outcome:
    """Evaluate the rows by both ways, `shares` shares in turns, after a small one that does not count."""
    quieten("datasets")
    quieten("evaluate")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        atelier = open_atelier(Settings(home=folder / "home"))
        ways = (Ours(atelier, folder), Plain(folder))
        for way in ways:
            way(labelled(20, seed=99))
        parts = [labelled(count // shares, seed=seed) for seed in range(shares)]
        ours, plain = alternate(shares, *(partial(_timed, way, iter(parts)) for way in ways))
        atelier.shutdown()
    apart = max(abs(one[1] - other[1]) for one, other in zip(ours, plain, strict=True))
    done = count // shares * shares
    rates = [done / sum(seconds for seconds, _ in side) for side in (ours, plain)]
    return Outcome(
        "evaluation",
        "labelled texts are evaluated at three times the speed of the library's evaluator",
        (Measure("rows a second", "1/s", *rates, target=3.0, at_least=True),),
        apart <= APART,
        f"accuracies apart by at most {apart:.4f} (allowed {APART})",
        {"rows": done, "shares": shares},
    )


def _timed(way: Ours | Plain, parts: Iterator[Sequence[dict[str, str]]]) -> tuple[float, float]:
    rows, started = next(parts), time.perf_counter()
    accuracy = way(rows)
    return time.perf_counter() - started, accuracy


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("evaluation", __doc__, rows=2_000, shares=4).parse_args(argv)
    return report(measure(given.rows, given.shares), given.json)


if __name__ == "__main__":
    sys.exit(main())
