"""One model's answers to all rows: those that are kept, and for the others the model itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalogue import REMOTE_TASK, Source
from core.evaluation.asking import (
    ELSEWHERE_TOGETHER,
    Asker,
    Here,
    Reply,
    ask_all_elsewhere,
    asker_for,
    longest_texts,
    too_long,
)
from core.evaluation.data import WRITES, EvaluationData
from core.evaluation.predictions import Answerer, Identity, Predictions, key_of, provenance_as_dict
from core.evaluation.settings import EvaluateSettings
from core.events import CancelToken, Progress
from core.machine.peak import peak_bytes
from core.provenance import Provenance
from core.remote.names import is_remote
from core.tasks.text.encoder import Lane, borrow
from core.training.data.prepared import LABELS, WORDS

if TYPE_CHECKING:
    from core.catalogue import ModelSpec
    from core.models.loading import LoadedModel
    from core.models.registry import Registry


@dataclass
class Meter:
    """How many rows are answered, of all models; kept ones are not counted, so that the time that is left is right."""

    report: Callable[[Progress], None]
    total: int
    done: int = 0
    began: float = field(default_factory=time.perf_counter)

    def skip(self, rows: int) -> None:
        """Take rows off that nobody has to answer any more."""
        self.total -= rows

    def forget(self, left: int) -> None:
        """Expect so many more rows only: the model that is being asked gives none any more."""
        self.total = self.done + left

    def add(self, rows: int) -> None:
        """Tell that so many more are answered."""
        self.done += rows
        self.report(Progress("rows", self.done, self.total, time.perf_counter() - self.began))


@dataclass(frozen=True)
class Bench:
    """Where answers are asked for and kept."""

    registry: Registry
    folder: Path
    """The answers of all models, a folder for each key."""
    cancel: CancelToken
    meter: Meter
    check: Callable[[Answerer], object] = lambda _: None
    """Told who will answer; raises in words what makes all answers useless, before any is asked for."""


@dataclass(frozen=True)
class Answered:
    """What one model made of all rows."""

    spec: ModelSpec
    key: str
    answerer: Answerer
    replies: tuple[Reply, ...]
    kept: int
    """Rows that were answered before, and are not asked again."""
    seconds: float
    """Of asking, whenever that was."""
    peak_bytes: int | None
    """The most that this process held; None where nothing was asked."""


def spec_for(name: str, settings: EvaluateSettings, registry: Registry) -> ModelSpec:
    """Return what a model's name means for the task; models on another machine answer prompts only.

    Raises UnknownName, InvalidInput, NotAllowed, NotAModel, and WrongTask for a model elsewhere of another task.
    """
    task = REMOTE_TASK if settings.task == "text-generation" and is_remote(name) else settings.task
    return registry.resolve(name, task, settings.wish)


def answer_all(spec: ModelSpec, settings: EvaluateSettings, data: EvaluationData, bench: Bench) -> Answered:
    """Return the model's replies to all rows of the data, asking only for those that are not kept.

    Raises ModelError, HubError, RemoteError, InvalidInput for settings that do not fit the model, and Cancelled; what
    was answered until then is kept.
    """
    if spec.source.remote and data.shape not in WRITES:
        bench.registry.resolve(spec.name, settings.task)  # says in words that it answers prompts only
    identity = _identity(spec, bench)
    key = key_of(identity, data.data_hash, settings)
    kept = Predictions(bench.folder / key)
    rows = len(data.rows)
    _refuse_long(kept, data)
    missing = kept.missing(rows)
    before = rows - len(missing)
    bench.meter.skip(before)
    if missing or kept.answerer is None:
        ask = _ask_elsewhere if spec.source.remote else _ask_here
        ask(spec, settings, data, _Task(bench, kept, missing))
    if kept.folder.exists():
        with suppress(OSError):  # it only tells the sweep what was used last
            os.utime(kept.folder)
    answerer = kept.answerer or Answerer({})
    asked_here = missing and not spec.source.remote
    peak = peak_bytes(str(answerer.provenance.get("device")).partition(":")[0]) if asked_here else None
    replies = tuple(kept.replies[place] for place in range(rows))
    return Answered(spec, key, answerer, replies, before, kept.seconds, peak)


@dataclass(frozen=True)
class _Task:
    """What is left to ask, and where the answers go."""

    bench: Bench
    kept: Predictions
    missing: Sequence[int]

    def parts(self, together: int) -> Sequence[Sequence[int]]:
        return [self.missing[start : start + together] for start in range(0, len(self.missing), together)]

    def keep(self, places: Sequence[int], replies: Sequence[Reply], began: float) -> None:
        self.kept.add(places, replies, time.perf_counter() - began)
        self.bench.meter.add(len(places))


def _identity(spec: ModelSpec, bench: Bench) -> Identity:
    if spec.source.remote:
        return Identity(spec.name, spec.source.value, None)
    files = bench.registry.fetch(spec, bench.meter.report, bench.cancel)
    return Identity(spec.name, files.revision, files.adapter_label)


def _refuse_long(kept: Predictions, data: EvaluationData) -> None:
    """Answer rows that are too long to be asked with the reason."""
    for place, row in enumerate(data.rows):
        reason = too_long(row, data.shape)
        if reason:
            kept.replies.setdefault(place, Reply(problem=reason))


def _ask_here(spec: ModelSpec, settings: EvaluateSettings, data: EvaluationData, task: _Task) -> None:
    asker = asker_for(settings, data, spec.name)
    bench = task.bench
    exact = settings.dtype != "auto"
    lane = Lane(background=True, exact=exact, cancel=bench.cancel, report=bench.meter.report)
    longest = longest_texts(data, asker.together)
    with borrow(bench.registry, spec, longest, lane, asker.beams) as model:
        asker.check(model)
        answerer = _answerer(model, lane, data.shape)
        bench.check(answerer)
        task.kept.tell(answerer)
        _ask_in_parts(asker, Here(bench.registry, model, lane), data, task)


def _ask_in_parts(asker: Asker, here: Here, data: EvaluationData, task: _Task) -> None:
    for places in task.parts(asker.together):
        task.bench.cancel.check()
        began = time.perf_counter()
        replies = asker.replies([data.rows[place] for place in places], here)
        task.keep(places, replies, began)


def _answerer(model: LoadedModel, lane: Lane, shape: str) -> Answerer:
    provenance = provenance_as_dict(model.provenance(0.0, mixed=lane.mixes(model)))
    names = model.model.config.id2label if shape in (LABELS, WORDS) else {}
    return Answerer(provenance, tuple(str(names[place]) for place in sorted(names)), model.max_length)


def _ask_elsewhere(spec: ModelSpec, settings: EvaluateSettings, data: EvaluationData, task: _Task) -> None:
    provenance: Provenance | None = None
    for places in task.parts(ELSEWHERE_TOGETHER):
        began = time.perf_counter()
        rows = [data.rows[place] for place in places]
        replies, provenance = ask_all_elsewhere(rows, spec, settings, task.bench.cancel)
        if provenance:
            task.kept.tell(Answerer(provenance_as_dict(provenance)))
        task.keep(places, replies, began)


def run_name(spec: ModelSpec) -> str | None:
    """Return the run that a model is; None for any other."""
    return spec.name if spec.source is Source.RUN else None


TOLD = ("model", "revision", "adapter", "device", "dtype", "attention", "lineage", "fallbacks")
"""What evaluation.json tells of a provenance."""
NOT_TOLD: Mapping[str, Any] = dict.fromkeys([*TOLD, "run", "answers", "kept", "seconds", "peak_bytes", "seed"])
"""What it tells of a model that was not evaluated."""


def as_told(answered: Answered, seed: int) -> dict[str, Any]:
    """Return who answered, as evaluation.json tells it."""
    provenance = answered.answerer.provenance
    return {
        **{name: provenance.get(name) for name in TOLD},
        "run": run_name(answered.spec),
        "answers": answered.key,
        "kept": answered.kept,
        "seconds": round(answered.seconds, 4),
        "peak_bytes": answered.peak_bytes,
        "seed": seed,
    }
