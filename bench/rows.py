"""Claim: a table of 2,000 texts of mixed length goes through at three times the cheat sheet's rows per second.

The cheat sheet's loop is `for row in rows: pipe(row, truncation=True)`. Atelier runs the job behind "Batch": it reads
the CSV, tokenizes, sorts by length, packs, computes in the background lane, and writes rows, CSV and Parquet. Both use
the same weights in the same process, in turns, a share of the rows at a time; the sums are compared. Beside them, for
information: the same pipeline at its best, with all rows at once and `batch_size=16`; and our job in float32, for the
planner lets tables run under bfloat16 autocast where processor and the starter's record (`bf16_agrees`) allow it.
Targets: at least 3 x the rows per second; the same labels for at least 99.5 % of the rows, scores within 0.02.

On a quiet machine: `python -m bench.rows`; a quick look: `python -m bench.rows --rows 200`.
Where other work keeps the cores busy, read the CPU seconds rather than the wall clock.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._agreement import Tolerance, agreement
from bench._measure import Measure, Outcome, arguments, report
from bench._starter import STARTER, plain_pipeline, registry, save_plain_apart
from bench._texts import mixed_texts
from core.jobs.runner import Jobs, State
from core.models.registry import Registry
from core.tasks.text.batch import KIND, TextBatchSettings, read_rows, run_batch

Answers = list[dict[str, Any]]
AT_ONCE = 16
"""Rows in one forward pass of the pipeline where it is told to batch."""


@dataclass(frozen=True)
class Pass:
    """All rows gone through once, in shares: seconds on the clock, seconds of CPU, and the answers in order."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    answers: tuple[dict[str, Any], ...] = ()

    def then(self, work: Callable[[Sequence[str]], Answers], texts: Sequence[str]) -> Pass:
        """Go through another share."""
        started, cpu = time.perf_counter(), time.process_time()
        answers = work(texts)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        return Pass(self.seconds + seconds, self.cpu_seconds + cpu_seconds, (*self.answers, *answers))


class Batch:
    """Atelier's way: one job a share."""

    def __init__(self, folder: Path, models: Registry, dtype: str = "auto") -> None:
        """Keep jobs below `folder`; the model is loaded by the first call, which does not count."""
        self._folder, self._models, self._jobs, self._dtype = folder, models, Jobs(folder / "jobs"), dtype

    def __call__(self, texts: Sequence[str]) -> Answers:
        """Run the job over a CSV of these texts and read what it wrote."""
        upload = self._folder / "texts.csv"
        with upload.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in texts)])
        settings = TextBatchSettings(file=str(upload), column="text", model=STARTER, dtype=self._dtype)
        job = self._jobs.start(KIND, settings, lambda handle: run_batch(handle, settings, self._models))
        while (state := self._jobs.state(job)).alive:
            time.sleep(0.01)
        if state is not State.SUCCEEDED:
            raise RuntimeError(f"the job ended {state.value}: {self._jobs.log(job)}")
        return [row.result[0] for row in read_rows(self._jobs.result_folder(job))]


def measure(rows: int, shares: int) -> Outcome:
    """Send the rows through all four ways, `shares` shares in turns, after one small share that does not count."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipe = plain_pipeline(save_plain_apart(folder / "model"))
        models = registry()

        def loop(texts: Sequence[str]) -> Answers:
            return [pipe(text, truncation=True)[0] for text in texts]

        def at_once(texts: Sequence[str]) -> Answers:
            answers: Answers = pipe(list(texts), truncation=True, batch_size=AT_ONCE)
            return answers

        ways = (Batch(folder, models), loop, at_once, Batch(folder, models, "float32"))
        for way in ways:
            way(mixed_texts(16, seed=1))
        passes = [Pass() for _ in ways]
        for number, texts in enumerate(_shares(mixed_texts(rows), shares)):
            for place in (range(len(ways)), reversed(range(len(ways))))[number % 2]:
                passes[place] = passes[place].then(ways[place], texts)
    return outcome(passes, {"rows": rows, "shares": shares})


def _shares(texts: Sequence[str], shares: int) -> Iterator[Sequence[str]]:
    size = -(-len(texts) // shares)
    return (texts[first : first + size] for first in range(0, len(texts), size))


def outcome(passes: Sequence[Pass], sizes: dict[str, int]) -> Outcome:
    """Compare rows per second and answers: the job, the loop, the pipeline that batches, and the job in float32."""
    job, loop, _, exact = passes
    rows = len(job.answers)
    speeds = [rows / one.seconds for one in passes]
    allowed = Tolerance(labels=0.995, score=0.02)
    same, same_exact = (agreement(one.answers, loop.answers, allowed) for one in (job, exact))
    return Outcome(
        "rows",
        "a table of texts goes through at three times the rows per second of the cheat sheet's loop",
        (
            Measure("rows a second", "1/s", *speeds[:2], target=3.0, at_least=True),
            Measure("CPU a row", "ms", *(1000 * one.cpu_seconds / rows for one in (job, loop))),
            Measure(f"beside batch_size={AT_ONCE}: rows a second", "1/s", speeds[0], speeds[2]),
            Measure("dtype=float32: rows a second", "1/s", speeds[3], speeds[1]),
            Measure("dtype=float32: CPU a row", "ms", *(1000 * one.cpu_seconds / rows for one in (exact, loop))),
        ),
        same.equal,
        f"{same.words}; in float32 {same_exact.words}",
        sizes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("rows", __doc__, rows=2000, shares=2).parse_args(argv)
    return report(measure(given.rows, given.shares), given.json)


if __name__ == "__main__":
    sys.exit(main())
