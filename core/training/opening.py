"""From settings to a trainer that may begin: data as tokens, the network under its method, metrics and samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.jobs.child import rank_here
from core.jobs.work import JobHandle
from core.training.callbacks import (
    CheckpointListener,
    EventListener,
    FiniteListener,
    HeapListener,
    StopListener,
    as_callback,
)
from core.training.checkpoints import Found
from core.training.choices import AUTO
from core.training.data.collators import collator_for
from core.training.data.keys import key_of
from core.training.data.prepare import prepare
from core.training.data.prepared import Prepared, Row
from core.training.data.reading import Desk
from core.training.data.rows import read_rows, read_splits
from core.training.data.rules import ModelReader
from core.training.data.store import VALIDATION, kept, rows_file
from core.training.data.survey import survey
from core.training.data.watch import Watch
from core.training.defaults import DataShape, total_steps
from core.training.ground import Ground
from core.training.methods import Circumstances, Parameters, apply_method, count_parameters, peft_config
from core.training.network import Network, load_network, read_tokenizer, to_precision
from core.training.rank_allocation import RankListener
from core.training.readers import model_reader
from core.training.record import Made, save_result
from core.training.samples import SampleListener, Writer, samples_from
from core.training.scoring import scoring_for
from core.training.settings import TrainSettings
from core.training.targets import choose_targets, layers_of
from core.training.tasks import ADALORA, FULL
from core.training.trainers import PREFERENCE as BY_PREFERENCE
from core.training.trainers import Lesson, make_trainer
from core.words import Sentence

LOOK_SECONDS = 0.2
"""How often a process looks whether the first one has tokenized."""
TENSOR_CORES = 8
"""NVIDIA's like row lengths that are multiples of it."""


@dataclass(frozen=True)
class Opened:
    """Ready: `trainer.train()` may begin, or go on."""

    settings: TrainSettings
    trainer: Any
    parameters: Parameters
    save: Callable[[Path], None]
    labels: tuple[str, ...]
    columns: dict[str, str]
    data_hash: str
    rows: dict[str, int]
    notes: tuple[Sentence, ...]
    chat_template: bool = False


@dataclass(frozen=True)
class Listening:
    """Who hears the moments of a training, besides samples."""

    job: JobHandle
    checkpoints: CheckpointListener
    found: Found
    """Where an earlier attempt stopped."""

    def all(self, rows: int, *first: object) -> tuple[object, ...]:
        """Return the listeners in the order in which they must hear: `first` writes before a checkpoint is marked."""
        events = EventListener(self.job, rows)
        stop = StopListener(self.job.cancel)
        return (*first, events, HeapListener(), FiniteListener(self.checkpoints), self.checkpoints, stop)


def open_text(ground: Ground, listening: Listening) -> Opened:
    """Prepare data and network for every task that reads or writes text; raises BadFile, ModelError, InvalidInput."""
    job = listening.job
    tokenizer = read_tokenizer(ground.files, ground.spec.name)
    reader = model_reader(ground.files, tokenizer)
    prepared = _prepared(_first_choices(ground, reader, job), reader, job)
    settings = ground.decided(_shape(prepared))
    job.cancel.check()
    network = load_network(settings, ground.spec, ground.files, prepared.labels, tokenizer)
    if prepared.chat_template:
        tokenizer.chat_template = prepared.chat_template
    rows = read_rows(rows_file(prepared.folder, VALIDATION))
    lesson = _lesson(ground, settings, prepared, network, tokenizer, listening)
    scoring = scoring_for(prepared, tokenizer, rows)
    trainer = make_trainer(replace(lesson, compute_metrics=scoring.compute, preprocess_logits=scoring.preprocess))
    _listen_for_samples(trainer, settings, prepared, tokenizer, rows, job)
    model = trainer.model
    made = Made(model, tokenizer, ground.record.id, ground.revision_on_hub)
    return Opened(
        settings=settings,
        trainer=trainer,
        parameters=count_parameters(model),
        save=lambda folder: save_result(made, folder),
        labels=prepared.labels,
        columns=dict(prepared.columns),
        data_hash=prepared.data_hash,
        rows={"train": prepared.counts.train_rows, "validation": prepared.counts.validation_rows},
        notes=prepared.notes,
        chat_template=bool(prepared.chat_template),
    )


def _first_choices(ground: Ground, reader: ModelReader, job: JobHandle) -> TrainSettings:
    """Return the settings as the data are prepared with; what a plan left open is chosen from a look at the rows."""
    settings = ground.settings
    if settings.packing != AUTO:
        return settings
    watch = Watch(job.report, job.cancel)
    return ground.decided(survey(settings, read_splits(settings, Desk(job.folder / "data"), watch), reader))


def _prepared(settings: TrainSettings, reader: ModelReader, job: JobHandle) -> Prepared:
    """Tokenize in the first process; the others wait for its files."""
    folder = job.folder / "data"
    if rank_here() == 0:
        return prepare(settings, reader, folder, Watch(job.report, job.cancel))
    key = key_of(settings, reader)
    while (found := kept(folder, key)) is None:
        job.cancel.check()
        time.sleep(LOOK_SECONDS)
    return found


def _shape(prepared: Prepared) -> DataShape:
    counts = prepared.counts
    return DataShape(
        rows=counts.train_sequences,
        validation_rows=counts.validation_sequences,
        longest=prepared.max_length,
        typical=counts.train_tokens // max(counts.train_sequences, 1),
        target_longest=prepared.max_target_length,
        labels=len(prepared.labels),
        shape=prepared.shape,
    )


def _lesson(
    ground: Ground,
    settings: TrainSettings,
    prepared: Prepared,
    network: Network,
    tokenizer: Any,
    listening: Listening,
) -> Lesson:
    """Lay the method over the network, and put beside it what it learns from."""
    steps = total_steps(settings, len(prepared.train))
    around = Circumstances(steps, ground.files.folder, network.fresh)
    model, adapter = _with_method(network, settings, around)
    multiple = TENSOR_CORES if ground.device.kind == "cuda" else None
    collator = collator_for(
        prepared, tokenizer, network.model, multiple_of=multiple, mlm_probability=settings.mlm_probability
    )
    first = (RankListener(model, listening.found.folder),) if settings.method == ADALORA else ()
    return Lesson(
        settings=settings,
        checkpoints=listening.job.folder / "checkpoints",
        model=model,
        tokenizer=tokenizer,
        prepared=prepared,
        collator=collator,
        adapter=adapter,
        listeners=listening.all(len(prepared.train), *first),
    )


def _with_method(network: Network, settings: TrainSettings, around: Circumstances) -> tuple[Any, Any]:
    """Return the model under its method; for DPO the bare one and a configuration, so that it is its own reference."""
    if settings.task != BY_PREFERENCE or settings.method == FULL:
        return to_precision(apply_method(network.model, settings, around), settings), None
    targets = choose_targets(layers_of(network.model, settings.known_task), settings)
    return network.model, peft_config(settings, targets, around, around.fresh)


def _listen_for_samples(
    trainer: Any,
    settings: TrainSettings,
    prepared: Prepared,
    tokenizer: Any,
    rows: Sequence[Row],
    job: JobHandle,
) -> None:
    samples = samples_from(rows, prepared, tokenizer, settings)
    if samples:
        writer = Writer(trainer.model, tokenizer, settings, prepared)
        trainer.add_callback(as_callback(SampleListener(job, writer, samples)))
