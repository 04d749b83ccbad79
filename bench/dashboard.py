"""Claim: the table of runs opens with 200 trainings of 2,000 points in less than twice the time it takes with two.

Two instances, one with few runs and one with many, serve the app in processes of their own; each is asked for its page
and for `/runs_list`, in turns, after visits that do not count. Beside that, for information: the curves of 20 trainings
beside those of two, read for the second time. Target: at most 2 x. The lines and their metrics are checked.

On a quiet machine: `python -m bench.dashboard`; a quick look: `python -m bench.dashboard --runs 20 --rounds 3`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._server import Server, serving
from core.evaluation.dashboard.desk import MOST_CHOSEN
from core.evaluation.record import EvaluationRecord, ModelRecord, write_evaluation
from core.jobs.runner import JobHandle, Jobs
from core.settings import Settings
from core.training.methods import Parameters
from core.training.record import BaseRecord, RunRecord, write_run

FEW = 2
ASKED = {"kind": "all", "search": "", "tags": "", "sort": "created", "descending": True, "limit": 100}


def fill(home: Path, runs: int, points: int) -> None:
    """Leave so many trainings with their curves below `home`, and half as many evaluations."""
    settings = Settings(home=home)
    trainings, evaluations = Jobs(settings.runs_folder), Jobs(settings.evaluations_folder)
    for number in range(runs):
        _await(trainings, trainings.start("training", {"name": f"run-{number}"}, _training(number, points)))
    for number in range(runs // 2):
        told = {"task": "text-classification", "models": "a, b", "file_name": "rows.csv"}
        _await(evaluations, evaluations.start("evaluation", told, _evaluation(told, number)))


def _training(number: int, points: int) -> Callable[[JobHandle], None]:
    def work(job: JobHandle) -> None:
        for step in range(1, points + 1):
            job.emit("metrics", {"step": step, "loss": 1 / step, "learning_rate": 1e-3, "grad_norm": 1.0})
        record = RunRecord(
            name=f"run-{number}",
            job=job.folder.name,
            task="text-classification",
            method="lora",
            base=BaseRecord("org/model", "0123", "hub"),
            labels=("bad", "good"),
            columns={"text": "review"},
            data_hash="ff",
            settings={"seed": 5},
            metrics={"eval_accuracy": number / 1000},
            parameters=Parameters(10, 100),
            steps=points,
            best_step=None,
            epochs=1.0,
            seconds=2.0,
            peak_bytes=1,
            rows={"train": 9, "validation": 1},
            device="a processor",
            created=1.0,
        )
        write_run(record, job.result_folder)

    return work


def _evaluation(settings: dict[str, Any], number: int) -> Callable[[JobHandle], None]:
    def work(job: JobHandle) -> None:
        value = {"key": "accuracy", "value": number / 1000, "interval": {"low": 0.0, "high": 1.0}}
        metrics = [{"name": "accuracy", "values": [value]}]
        models = [ModelRecord(name, {"model": name, "revision": "main"}, metrics) for name in ("a", "b")]
        data = {"name": "rows.csv", "hash": "1f", "rows": 10, "notes": []}
        write_evaluation(EvaluationRecord(settings, data, {}, models, (), created=1.0, seed=1), job.result_folder)

    return work


def _await(jobs: Jobs, job: str) -> None:
    while jobs.state(job).alive:
        time.sleep(0.002)


def _opened(server: Server) -> tuple[float, Any]:
    """Return the milliseconds that page and table take, and what the table holds."""
    started = time.perf_counter()
    server.get("/")
    _, found = server.ask("runs_list", ASKED, "v2/")
    return (time.perf_counter() - started) * 1000, found


def _curves(server: Server, jobs: Sequence[str]) -> float:
    started = time.perf_counter()
    server.ask("runs_curves", {"jobs": list(jobs), "metric": "loss", "smoothing": 0.5, "log_scale": False}, "v2/")
    return (time.perf_counter() - started) * 1000


def measure(runs: int, points: int, rounds: int) -> Outcome:
    """Open both tables in turns."""
    with tempfile.TemporaryDirectory() as name:
        homes = {count: Path(name) / str(count) for count in (runs, FEW)}
        for count, home in homes.items():
            fill(home, count, points)
        commands = [["app.py", "--port", "{port}", "--home", str(homes[count])] for count in (runs, FEW)]
        with serving(commands[0]) as many, serving(commands[1]) as few:
            for server in (many, few) * 2:
                _opened(server)
            with_many, with_few = alternate(rounds, lambda: _opened(many), lambda: _opened(few))
            chosen = [_trainings(server) for server in (many, few)]
            for server, jobs in zip((many, few), chosen, strict=True):
                _curves(server, jobs)
            curves = alternate(rounds, lambda: _curves(many, chosen[0]), lambda: _curves(few, chosen[1]))
    counts = [side[0][1]["found"] for side in (with_many, with_few)]
    wanted = [count + 2 * (count // 2) for count in (runs, FEW)]
    return Outcome(
        "dashboard",
        "the table of runs opens with many runs in less than twice the time it takes with two",
        (
            Measure("page and table, many runs beside two", "ms", *map(_median, (with_many, with_few)), target=2.0),
            Measure("curves, of many runs beside two", "ms", *(statistics.median(side) for side in curves)),
        ),
        counts == wanted,
        f"{counts[0]} and {counts[1]} lines found, {wanted[0]} and {wanted[1]} were there",
        {"runs": runs, "points": points, "rounds": rounds},
    )


def _median(side: Sequence[tuple[float, Any]]) -> float:
    return statistics.median(milliseconds for milliseconds, _ in side)


def _trainings(server: Server) -> list[str]:
    """Return the ids of as many trainings as curves may be drawn of."""
    _, found = server.ask("runs_list", {**ASKED, "kind": "training", "limit": MOST_CHOSEN}, "v2/")
    return [row["job"] for row in found["runs"]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("dashboard", __doc__, runs=200, points=2_000, rounds=9).parse_args(argv)
    return report(measure(given.runs, given.points, given.rounds), given.json)


if __name__ == "__main__":
    sys.exit(main())
