"""The rows that models are evaluated on: a file, a sample, a data set on the Hub, or what a run held out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadFile, InvalidInput, WrongTask
from core.evaluation.settings import EvaluateSettings, require_data
from core.runs import Run
from core.settings import LIMITS
from core.training.data.prepared import ANSWERS, CHAT, COMPLETION, LABELS, PAIRS, PLAIN, WORDS, Row
from core.training.data.reading import Desk
from core.training.data.rows import read_rows, read_undivided
from core.training.data.splitting import Halves, draw, hash_of
from core.training.data.store import NOTE, VALIDATION, rows_file
from core.training.data.watch import Watch
from core.training.settings import TrainSettings
from core.words import Sentence, say

WRITES = (CHAT, COMPLETION)
"""Shapes of text generation in which a model answers; of running text it tells how well it expects it."""


@dataclass(frozen=True)
class EvaluationData:
    """Rows under their canonical columns, in the order in which they are asked."""

    name: str
    rows: tuple[Row, ...]
    shape: str
    """One of core.training.data.prepared.SHAPES."""
    columns: Mapping[str, str]
    """Canonical column → the file's own."""
    labels: tuple[str, ...]
    """The classes, or tags, that the references name."""
    data_hash: str
    """SHA-256 over these rows."""
    notes: tuple[Sentence, ...] = ()

    @property
    def has_pairs(self) -> bool:
        """Tell whether a row is two texts."""
        return any("text_pair" in row for row in self.rows)


def read_data(settings: EvaluateSettings, run: Run | None, watch: Watch, token: str | None = None) -> EvaluationData:
    """Read the rows; `run` is the one whose held-out rows are asked for. `token` opens private data sets.

    Raises InvalidInput where no data are named, BadFile naming file, row, column and cause, HubError, Cancelled.
    """
    require_data(settings)
    found = _held_out(settings, run) if run else _read(settings, watch, token)
    if len(found.rows) > LIMITS.batch_rows:
        raise BadFile("error.too_many_rows", file=found.name, rows=len(found.rows), limit=LIMITS.batch_rows)
    return found


def _read(settings: EvaluateSettings, watch: Watch, token: str | None) -> EvaluationData:
    wanted = TrainSettings(
        task=settings.task,
        file=settings.file,
        dataset=settings.dataset,
        dataset_config=settings.dataset_config,
        dataset_split=settings.dataset_split,
        columns=settings.columns,
        max_samples=settings.max_samples,
        seed=settings.seed,
    )
    with tempfile.TemporaryDirectory(prefix="atelier-evaluation-") as folder:
        splits = read_undivided(wanted, Desk(Path(folder), token), watch)
    return EvaluationData(
        settings.data_name,
        splits.validation,
        splits.shape,
        splits.columns,
        splits.labels,
        splits.data_hash,
        splits.notes,
    )


def _held_out(settings: EvaluateSettings, run: Run) -> EvaluationData:
    """Read what a run kept for evaluation; refuses a run that learnt something else, or kept nothing."""
    refuse_other_task(run, settings.task)
    folder = run.folder / "data"
    every = read_rows(rows_file(folder, VALIDATION))
    if not every:
        raise InvalidInput("error.evaluate_nothing_held_out", name=run.name)
    rows = draw(every, settings.max_samples, settings.seed)
    drawn = say("say.data_drawn", count=len(rows), total=len(every), seed=settings.seed)
    told = _note_of(folder)
    return EvaluationData(
        run.name,
        tuple(rows),
        shape_of(rows[0]),
        dict(told.get("columns") or {}),
        run.labels,
        hash_of(Halves((), tuple(rows))),
        (drawn,) if len(rows) < len(every) else (),
    )


def refuse_other_task(run: Run, task: str) -> None:
    """Raise WrongTask where a run's rows are for another task."""
    if run.task != task:
        raise WrongTask("error.evaluate_run_task", name=run.name, trained=run.task, task=task)


def _note_of(folder: Path) -> dict[str, Any]:
    """Return what the run noted of its data; nothing where that is gone."""
    try:
        found = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_BY_COLUMN = {
    "label": LABELS,
    "tags": WORDS,
    "answers": ANSWERS,
    "target": PAIRS,
    "messages": CHAT,
    "text": PLAIN,
}


def shape_of(row: Row) -> str:
    """Return what a canonical row is."""
    return next(shape for column, shape in _BY_COLUMN.items() if column in row)
