"""From settings to a trainer of pictures that may begin: rows, their encoding, the pipeline's networks."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.jobs.child import rank_here
from core.jobs.files import written_whole
from core.jobs.work import JobHandle
from core.training.data.prepared import Row
from core.training.data.reading import Desk
from core.training.data.rows import read_rows, read_splits, write_rows
from core.training.data.store import TRAIN, VALIDATION, rows_file
from core.training.data.watch import Watch
from core.training.defaults import DataShape
from core.training.ground import Ground
from core.training.methods import Parameters
from core.training.opening import LOOK_SECONDS, Listening, Opened
from core.training.pictures.studio import PictureWork, open_studio
from core.words import Sentence

NOTE = "pictures.json"
"""Written when all rows are: what they were made from."""


@dataclass(frozen=True)
class _Album:
    """Pictures with captions in two halves."""

    train: list[Row]
    validation: list[Row]
    columns: dict[str, str]
    data_hash: str
    notes: tuple[Sentence, ...] = ()


def open_pictures(ground: Ground, listening: Listening) -> Opened:
    """Read the pictures and prepare the pipeline; raises BadFile, ModelError, InvalidInput or Cancelled."""
    job = listening.job
    album = _album(ground, job)
    settings = ground.decided(DataShape(len(album.train), len(album.validation)))
    work = PictureWork(
        settings, ground.spec, ground.files, job.folder, album.train, album.validation, album.data_hash, job
    )
    studio = open_studio(work, listening.all(len(album.train)))
    return Opened(
        settings=settings,
        trainer=studio.trainer,
        parameters=Parameters(studio.trainable, studio.total),
        save=studio.save,
        labels=(),
        columns=album.columns,
        data_hash=album.data_hash,
        rows={"train": len(album.train), "validation": len(album.validation)},
        notes=(*album.notes, *studio.notes),
    )


def _album(ground: Ground, job: JobHandle) -> _Album:
    """Read and unpack in the first process, once; the others, and a further attempt, take what lies there."""
    folder = job.folder / "data"
    while (note := _note(folder)) is None:
        if rank_here() == 0:
            return _read(ground, job, folder)
        job.cancel.check()
        time.sleep(LOOK_SECONDS)
    train, validation = (read_rows(rows_file(folder, half)) for half in (TRAIN, VALIDATION))
    return _Album(train, validation, note["columns"], note["data_hash"])


def _read(ground: Ground, job: JobHandle, folder: Path) -> _Album:
    splits = read_splits(ground.settings, Desk(folder), Watch(job.report, job.cancel))
    for half, rows in ((TRAIN, splits.train), (VALIDATION, splits.validation)):
        write_rows(rows, rows_file(folder, half))
    columns = dict(splits.columns)
    with written_whole(folder / NOTE) as draft:
        draft.write_text(json.dumps({"columns": columns, "data_hash": splits.data_hash}), encoding="utf-8")
    return _Album([*splits.train], [*splits.validation], columns, splits.data_hash, splits.notes)


def _note(folder: Path) -> dict[str, Any] | None:
    file = folder / NOTE
    if not file.is_file():
        return None
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return held
