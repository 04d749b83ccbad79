"""Runs on disk for the tests of the dashboard: jobs of real shelves, with the files that real work leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.evaluation.dashboard.desk import RunsDesk
from core.evaluation.record import EvaluationRecord, ModelRecord, write_evaluation
from core.jobs.runner import JobHandle, Jobs
from core.training.record import write_run
from tests.core.training.test_record import RECORD
from tests.serving import until

CHARTS = {
    "confusion": {"labels": ["好", "나쁨"], "matrix": [[4, 1], [0, 5]]},
    "reliability": [
        {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "count": 10, "confidence": 0.8, "accuracy": 0.9},
    ],
    "curves": [
        {
            "label": "好",
            "roc": {"fpr": [0.0, 0.5, 1.0], "tpr": [0.0, 0.9, 1.0], "auc": 0.8},
            "pr": {"recall": [1.0, 0.5, 0.0], "precision": [0.5, 0.8, 1.0], "average_precision": 0.75},
        }
    ],
    "lengths": [
        {"low": 1, "high": 9, "count": 5, "score": 0.8},
        {"low": 10, "high": 20, "count": 5, "score": 0.6},
    ],
}


def new_desk(folder: Path) -> RunsDesk:
    """Return a desk over two empty shelves."""
    return RunsDesk(Jobs(folder / "runs"), Jobs(folder / "evaluations"))


def add_training(
    desk: RunsDesk, name: str, losses: Sequence[float] = (), owner: str | None = None, **metrics: float
) -> str:
    """Add a training that has told these losses, a step each, and been measured so."""

    def work(job: JobHandle) -> None:
        for step, loss in enumerate(losses, 1):
            job.emit("metrics", {"step": step, "loss": loss, "learning_rate": 0.1 / step})
        if metrics:
            job.emit("evaluation", {"step": len(losses), **metrics})
            write_run(replace(RECORD, name=name, metrics=metrics), job.result_folder)

    return _ended(desk.trainings, "training", {"name": name, "task": RECORD.task, "model": "some/base"}, work, owner)


def add_evaluation(
    desk: RunsDesk, models: Mapping[str, float], owner: str | None = None, data: str = "samples/reviews"
) -> str:
    """Add an evaluation of models with their accuracies; none = it has failed before the first."""

    def work(job: JobHandle) -> None:
        if not models:
            raise OSError("the disk is gone")
        told = [_model(name, accuracy) for name, accuracy in models.items()]
        facts: dict[str, Any] = {"settings": settings, "data": {"name": data, "hash": "1f"}, "row_score": {}}
        record = EvaluationRecord(**facts, models=told, comparisons=(), created=1.0, seed=42)
        write_evaluation(record, job.result_folder)

    settings = {"task": "text-classification", "models": ", ".join(models), "file_name": data}
    return _ended(desk.evaluations, "evaluation", settings, work, owner)


def _model(name: str, accuracy: float) -> ModelRecord:
    interval = {"low": accuracy - 0.1, "high": accuracy + 0.1}
    values = [{"key": "accuracy", "value": accuracy, "interval": interval}]
    metrics = [{"name": "accuracy", "values": values}, {"name": "f1", "values": [{"key": "f1", "value": None}]}]
    return ModelRecord(name, {"model": name, "revision": "main"}, metrics, n=10, charts=CHARTS)


def _ended(jobs: Jobs, kind: str, settings: Mapping[str, Any], work: Any, owner: str | None) -> str:
    job = jobs.start(kind, settings, work, owner)
    until(lambda: not jobs.state(job, owner).alive)
    return job
