"""One run, from its settings to its result: what the worker process does.

Every phase polls the stop flag. A stop, like a kill, leaves a checkpoint; a further attempt goes on from the newest
whole one, with optimizer, schedule, random state and the order of the rows.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from core.catalogue import Source
from core.errors import Cancelled
from core.events import Progress
from core.jobs.folder import JobFolder
from core.jobs.records import Record, sentence_to_json
from core.jobs.work import JobHandle
from core.machine.peak import peak_bytes
from core.training.callbacks import CheckpointListener, wait_for_all
from core.training.checkpoints import Found, drop_broken, newest_whole
from core.training.ground import Ground, find_ground
from core.training.opening import Listening, Opened, open_text
from core.training.record import RunRecord, is_whole, write_run
from core.training.settings import TrainSettings, read_settings
from core.training.trainers import save_now
from core.words import say

ATTEMPT, NOTE, MEASURED = "attempt", "note", "measured"


def train_here(job: JobHandle) -> None:
    """Train the run in the job's folder to its end; raises AtelierError in words, and Cancelled after a checkpoint."""
    began = time.monotonic()
    if is_whole(job.result_folder):
        return  # an earlier attempt was killed after its last write
    settings = read_settings(job.folder)
    found = newest_whole(job.folder / "checkpoints")
    record = JobFolder(job.folder).record()
    job.emit(ATTEMPT, {"number": record.attempt, "from_step": found.step})
    ground = find_ground(settings, job)
    opened = _open(ground, _listening(job, settings, found))
    _tell_notes(job, opened, found)
    metrics = _learn(opened, found, job)
    learnt = _Learnt(ground, opened, metrics, record, record.earlier_seconds + time.monotonic() - began)
    _finish(learnt, job)


def _listening(job: JobHandle, settings: TrainSettings, found: Found) -> Listening:
    return Listening(job, CheckpointListener(job, settings.save_total_limit, found.step), found)


def _open(ground: Ground, listening: Listening) -> Opened:
    if ground.settings.known_task.kind != "diffusion":
        return open_text(ground, listening)
    from core.training.opening_pictures import open_pictures

    return open_pictures(ground, listening)


def _tell_notes(job: JobHandle, opened: Opened, found: Found) -> None:
    """Say what a person should know before it begins, and let broken checkpoints go: the trainer writes them anew."""
    for one in found.broken:
        note = say("say.checkpoint_broken", step=one.step, reason=one.reason, from_step=found.step)
        job.emit(NOTE, sentence_to_json(note))
    for note in opened.notes:
        job.emit(NOTE, sentence_to_json(note))
    wait_for_all()  # others may still be looking at them
    if opened.trainer.is_world_process_zero():
        drop_broken(job.folder / "checkpoints", found)
    wait_for_all()


def _learn(opened: Opened, found: Found, job: JobHandle) -> dict[str, float]:
    """Train, and return what the weights that stay were measured to do; when somebody asks to stop, save first."""
    trainer = opened.trainer
    job.cancel.check()
    try:
        trainer.train(resume_from_checkpoint=str(found.folder) if found.folder else None)
        return _final_metrics(trainer)
    except Cancelled:
        job.report(Progress("save", 0, 1))
        save_now(trainer)
        raise


def _final_metrics(trainer: Any) -> dict[str, float]:
    """Return what the weights that stay were measured to do; measured now if they never were."""
    if trainer.eval_dataset is None:
        return {}
    state = trainer.state
    kept = state.best_global_step if trainer.args.load_best_model_at_end else state.global_step
    for entry in reversed(state.log_history):
        if entry["step"] == kept and "eval_loss" in entry:
            return _numbers(entry)
    return _numbers(trainer.evaluate())


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    about_speed = ("runtime", "_per_second", "_time", "num_tokens")
    return {
        name: float(value)
        for name, value in entry.items()
        if name.startswith("eval_") and isinstance(value, Real) and not name.endswith(about_speed)
    }


@dataclass(frozen=True)
class _Learnt:
    """A training that came to its end."""

    ground: Ground
    opened: Opened
    metrics: dict[str, float]
    job: Record
    seconds: float


def _finish(learnt: _Learnt, job: JobHandle) -> None:
    """Save in the first process, and part with the others."""
    job.cancel.check()
    trainer = learnt.opened.trainer
    if trainer.is_world_process_zero():
        _save(learnt, job)
    trainer.end()


def _save(learnt: _Learnt, job: JobHandle) -> None:
    """Save the result and its record, and give the room of the checkpoints back: all they hold is in the result."""
    job.report(Progress("save", 0, 1))
    learnt.opened.save(job.result_folder)
    made = _record(learnt)
    write_run(made, job.result_folder)
    measured = ("peak_bytes", "seconds", "steps", "device", "rows")
    job.emit(MEASURED, {name: getattr(made, name) for name in measured})
    shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)
    job.report(Progress("save", 1, 1))


def _record(learnt: _Learnt) -> RunRecord:
    opened, base = learnt.opened, learnt.ground.record
    settings, trainer = opened.settings, opened.trainer
    return RunRecord(
        name=settings.name or learnt.job.id,
        job=learnt.job.id,
        task=settings.task,
        method=settings.method,
        base=base,
        labels=opened.labels,
        columns=opened.columns,
        data_hash=opened.data_hash,
        settings=asdict(settings),
        metrics=learnt.metrics,
        parameters=opened.parameters,
        steps=trainer.state.global_step,
        best_step=trainer.state.best_global_step if trainer.args.load_best_model_at_end else None,
        epochs=trainer.state.epoch or 0.0,
        seconds=learnt.seconds,
        peak_bytes=peak_bytes(learnt.ground.device.kind),
        rows=opened.rows,
        device=learnt.ground.device.name,
        created=time.time(),
        continues=base.id if base.source == Source.RUN.value else None,
        chat_template=opened.chat_template,
    )
