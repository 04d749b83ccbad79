"""Makes lines of the runs table from what jobs leave on disk; what has ended is read once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.evaluation.dashboard.row import TRAINING, Number, RunRow
from core.evaluation.dashboard.tags import read_tags
from core.evaluation.record import EVALUATION_FILE, read_evaluation
from core.jobs.runner import Jobs
from core.jobs.views import JobView, Owner
from core.runs import PREFIX, RUN_FILE
from core.training.record import RunRecord, read_run

_OF_TRAINER = "eval_"


class RunReader:
    """Reads the lines of jobs; thread-safe. A result file that has not changed since is not read again."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._known: dict[str, tuple[int, tuple[RunRow, ...]]] = {}
        self._lock = threading.Lock()

    def rows(self, jobs: Jobs, kind: str, owner: Owner) -> list[RunRow]:
        """Return the lines of this owner's jobs of one kind, newest first."""
        return [row for view in jobs.list(owner) if view.kind == kind for row in self._of(jobs, view, owner)]

    def _of(self, jobs: Jobs, view: JobView, owner: Owner) -> Sequence[RunRow]:
        folder = jobs.folder(view.id, owner)
        tags = read_tags(folder)
        return [
            replace(row, state=view.state.value, seconds=view.seconds, tags=tags)
            for row in self._results(folder / "result", view)
        ]

    def _results(self, result: Path, view: JobView) -> tuple[RunRow, ...]:
        """Return the lines without what changes beside the result: state, time and tags."""
        stamp = _changed(result / (RUN_FILE if view.kind == TRAINING else EVALUATION_FILE))
        with self._lock:
            known = self._known.get(view.id)
        if known and known[0] == stamp:
            return known[1]
        found = _training(view, result) if view.kind == TRAINING else _evaluation(view, result)
        with self._lock:
            self._known[view.id] = stamp, found
        return found

    def forget(self, job: str) -> None:
        """Forget a job that is gone."""
        with self._lock:
            self._known.pop(job, None)


def _changed(file: Path) -> int:
    """Return when a file was changed; 0 where there is none yet."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _bare(view: JobView, name: str) -> RunRow:
    """Return what the settings alone tell."""
    told = view.settings
    return RunRow(
        job=view.id,
        kind=view.kind,
        state=view.state.value,
        created=view.created,
        seconds=view.seconds,
        name=name,
        model=str(told.get("model") or told.get("models") or ""),
        task=str(told.get("task") or ""),
        data=str(told.get("file_name") or told.get("dataset") or Path(str(told.get("file") or "")).name),
    )


def _training(view: JobView, result: Path) -> tuple[RunRow, ...]:
    row = _bare(view, f"{PREFIX}{view.settings.get('name') or view.id}")
    try:
        record = read_run(result)
    except BadFile:
        return (row,)
    return (replace(row, model=_base(record), data_hash=record.data_hash, metrics=_held_out(record)),)


def _base(record: RunRecord) -> str:
    base = record.base
    return f"{base.id}@{base.revision}" if base.revision else base.id


def _held_out(record: RunRecord) -> dict[str, Number]:
    return {name.removeprefix(_OF_TRAINER): Number(value) for name, value in record.metrics.items()}


def _evaluation(view: JobView, result: Path) -> tuple[RunRow, ...]:
    row = _bare(view, str(view.settings.get("models") or view.settings.get("task") or view.id))
    try:
        told = read_evaluation(result)
    except BadFile:
        return (row,)
    data = told.get("data", {})
    row = replace(row, data=str(data.get("name", row.data)), data_hash=str(data.get("hash", "")))
    models = [
        replace(row, name=str(one["name"]), model=_answerer(one), metrics=_measured(one)) for one in told["models"]
    ]
    return tuple(models) or (row,)


def _answerer(model: Mapping[str, Any]) -> str:
    """Return who answered: model@revision, and the adapter that lay over it."""
    name, revision = model.get("model") or "", model.get("revision")
    adapter = model.get("adapter")
    return (f"{name}@{revision}" if revision else str(name)) + (f"+{adapter}" if adapter else "")


def _measured(model: Mapping[str, Any]) -> dict[str, Number]:
    """Return the numbers of all metrics; a key of two metrics ("score") is told with its metric."""
    values = [(metric["name"], one) for metric in model.get("metrics", ()) for one in metric["values"]]
    keys = [one["key"] for _, one in values]
    return {
        f"{name}_{one['key']}" if keys.count(one["key"]) > 1 else one["key"]: _number(one)
        for name, one in values
        if isinstance(one["value"], int | float)
    }


def _number(value: Mapping[str, Any]) -> Number:
    interval = value.get("interval") or {}
    return Number(float(value["value"]), interval.get("low"), interval.get("high"))
