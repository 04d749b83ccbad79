"""What a training would take, before it starts: steps, memory in parts, time, what would have to go, the command."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.events import CancelToken
from core.machine.devices import Device, Hardware
from core.models.ledger import Resident
from core.models.registry import Registry
from core.placement.prediction import Part, total
from core.training.base import Base, Files, adapter_here, base_spec, look_at, refuse_prompts
from core.training.choices import AUTO
from core.training.command import nodes_command, shown_command
from core.training.defaults import DataShape, held_out, steps_per_epoch, total_steps, with_defaults
from core.training.measurement import Measurement, Order, Stopwatch
from core.training.memory import MemoryNeeds, fitted, frozen_dtype, require_room
from core.training.methods import Circumstances, Parameters, apply_method, count_parameters
from core.training.refusals import refuse_for_machine
from core.training.settings import TrainSettings
from core.training.skeleton import model_config, skeleton, text_encoders
from core.training.targets import LayerGroup, Targets, choose_targets, layer_groups, layers_of
from core.training.tasks import FULL, PROMPTS
from core.words import Sentence, in_bytes, say

FOLDER = "FOLDER"
"""Stands for the run's folder in a command that is shown before there is one."""


@dataclass(frozen=True)
class Surroundings:
    """What a plan is made with."""

    registry: Registry
    files: Files
    """Finds models and reads their configurations: the registry's loader."""
    stopwatch: Stopwatch | None = None
    """None = nothing is measured, and the plan tells no time."""
    budget_bytes: int | None = None
    """Upper bound of the instance for main memory; None = what the machine has."""


@dataclass(frozen=True)
class TrainPlan:
    """Everything that is known before the start."""

    settings: TrainSettings
    """With every choice made: the settings file, to the letter."""
    base: Base
    parameters: Parameters
    layers: tuple[LayerGroup, ...]
    """The layers there are, for `target_modules`; empty for methods that touch none."""
    device: str
    steps: int
    steps_per_epoch: int
    rows: int
    validation_rows: int
    parts: tuple[Part, ...]
    free_bytes: int
    """Free on the device, idle models counted as gone."""
    measured: Measurement | None
    seconds: float | None
    """Predicted for the whole run, evaluations included; None = could not be told."""
    evicts: tuple[str, ...]
    """Idle models that must go, the longest unused first."""
    evict_ids: tuple[str, ...]
    """The same as the registry's ids."""
    command: str
    nodes_command: str
    notes: tuple[Sentence, ...] = ()

    @property
    def needed_bytes(self) -> int:
        """All parts together."""
        return total(self.parts)

    @property
    def settings_json(self) -> str:
        """The settings file."""
        return self.settings.to_json()


@dataclass(frozen=True)
class _Draft:
    """A plan in the making."""

    wished: TrainSettings
    data: DataShape
    base: Base
    device: Device
    hardware: Hardware
    settings: TrainSettings = field(default_factory=TrainSettings)

    @property
    def chosen(self) -> frozenset[str]:
        """Return the fields that somebody typed."""
        usual = dataclasses.asdict(TrainSettings())
        return frozenset(name for name, value in dataclasses.asdict(self.wished).items() if value != usual[name])


def plan_run(
    settings: TrainSettings,
    data: DataShape,
    around: Surroundings,
    folder: str = FOLDER,
    cancel: CancelToken | None = None,
) -> TrainPlan:
    """Return the plan, or raise what stands against the run: InvalidInput, ModelError, HubError, NotEnoughMemory.

    Nothing large is downloaded and no weights are read; layers and parameters come from the configuration.
    """
    hardware = around.registry.hardware()
    device = hardware.best if settings.device == AUTO else hardware.device(settings.device)
    refuse_for_machine(settings, device, hardware)
    spec = base_spec(settings, around.registry.resolve)
    refuse_prompts(spec, adapter_here(spec, around.registry))
    base = look_at(spec, around.files, cancel)
    draft = _Draft(settings, data, base, device, hardware)
    draft = dataclasses.replace(draft, settings=with_defaults(settings, base.facts, data, device))
    return _planned(draft, around, folder, cancel or CancelToken())


def _planned(draft: _Draft, around: Surroundings, folder: str, cancel: CancelToken) -> TrainPlan:
    layers, parameters = _survey(draft)
    idle = _idle(around.registry.ledger(), draft.device)
    room = _room(draft.device, idle, around.budget_bytes)
    needs = MemoryNeeds(draft.settings, draft.base.facts, parameters, _vocabulary(draft))
    settings = fitted(needs, draft.device, room, draft.chosen)
    settings = with_defaults(settings, draft.base.facts, draft.data, draft.device)
    needs = dataclasses.replace(needs, settings=settings)
    parts = require_room(needs, draft.device, room)
    goes = _goes(idle, total(parts) - (room - sum(one.measured_bytes for one in idle)))
    measured = _measured(draft, settings, parameters, around.stopwatch, cancel)
    return TrainPlan(
        settings=settings,
        base=draft.base,
        parameters=parameters,
        layers=layers,
        device=draft.device.label,
        steps=total_steps(settings, draft.data.rows),
        steps_per_epoch=steps_per_epoch(settings, draft.data.rows),
        rows=draft.data.rows,
        validation_rows=draft.data.validation_rows,
        parts=parts,
        free_bytes=room,
        measured=measured,
        seconds=_seconds(settings, draft.data, measured),
        evicts=tuple(one.name for one in goes),
        evict_ids=tuple(one.id for one in goes),
        command=shown_command(settings, folder),
        nodes_command=nodes_command(settings, folder),
        notes=(*_notes(draft, settings), *_how_long(measured, around.stopwatch)),
    )


def _survey(draft: _Draft) -> tuple[tuple[LayerGroup, ...], Parameters]:
    """Look at the model on the meta device: its layers, and what learns under the method."""
    settings, task = draft.settings, draft.settings.known_task
    model = skeleton(draft.base, task, draft.data.labels)
    around = Circumstances(total_steps=total_steps(settings, draft.data.rows))
    layers = layers_of(model, task)
    touches = settings.method not in (*PROMPTS, FULL)
    targets = choose_targets(layers, settings) if touches else Targets((), ())
    groups = layer_groups(layers, settings) if touches else ()
    counted = count_parameters(_adapted(model, settings, around, targets))
    return groups, _with_text_encoders(draft, counted)


def _adapted(model: Any, settings: TrainSettings, around: Circumstances, targets: Targets) -> Any:
    """Lay the adapter over the model on the meta device; four bits are counted as the whole numbers they stand for."""
    unquantised = dataclasses.replace(settings, method="lora") if settings.method == "qlora" else settings
    return apply_method(model, unquantised, around, targets)


def _with_text_encoders(draft: _Draft, unet: Parameters) -> Parameters:
    """Count a pipeline's other networks, too: they lie beside the UNet, frozen unless the text encoder learns."""
    if draft.settings.known_task.kind != "diffusion":
        return unet
    learning, everything = unet.trainable, max(draft.base.facts.count, unet.total)
    if draft.settings.train_text_encoder:
        for encoder in text_encoders(draft.base).values():
            targets = choose_targets(layers_of(encoder, draft.settings.known_task), draft.settings)
            counted = count_parameters(apply_method(encoder, draft.settings, targets=targets))
            learning += counted.trainable
    return Parameters(learning, everything)


def _vocabulary(draft: _Draft) -> int:
    """Return how many words are predicted at each position; 0 for heads with labels, and for pictures."""
    task = draft.settings.known_task
    if task.head or task.kind == "diffusion":
        return 0
    return int(getattr(model_config(draft.base, task).get_text_config(decoder=True), "vocab_size", 0))


def _idle(residents: Sequence[Resident], device: Device) -> list[Resident]:
    """Return the models on the device that nobody uses, in the order in which they go."""
    idle = [(one.goes_next, one) for one in residents if one.device == device.label and one.goes_next is not None]
    return [one for _, one in sorted(idle, key=lambda pair: pair[0])]


def _room(device: Device, idle: Sequence[Resident], budget: int | None) -> int:
    free = device.free_bytes + sum(one.measured_bytes for one in idle)
    return min(free, budget) if budget is not None and device.shares_main_memory else free


def _goes(idle: Sequence[Resident], missing: int) -> list[Resident]:
    """Return the fewest of the longest unused models that make room for `missing` bytes."""
    goes: list[Resident] = []
    for one in idle:
        if missing <= 0:
            break
        goes.append(one)
        missing -= one.measured_bytes
    return goes


def _measured(
    draft: _Draft, settings: TrainSettings, parameters: Parameters, stopwatch: Stopwatch | None, cancel: CancelToken
) -> Measurement | None:
    if stopwatch is None:
        return None
    order = Order(draft.base, settings, draft.data.labels, parameters.total, draft.data.typical)
    return stopwatch.measure(order, f"{draft.device.name} × {draft.hardware.cores}", cancel)


def _seconds(settings: TrainSettings, data: DataShape, measured: Measurement | None) -> float | None:
    """Return the predicted time: passes of all steps, and of all evaluations."""
    if measured is None:
        return None
    steps = total_steps(settings, data.rows)
    training = steps * settings.gradient_accumulation_steps * measured.seconds_per_pass
    if settings.eval_strategy == "no" or not held_out(settings, data):
        return training
    every = settings.eval_steps if settings.eval_strategy == "steps" else steps_per_epoch(settings, data.rows)
    each = measured.seconds_forth / settings.per_device_train_batch_size
    return training + math.ceil(steps / max(every, 1)) * data.validation_rows * each / settings.num_processes


def _notes(draft: _Draft, settings: TrainSettings) -> list[Sentence]:
    """Say what a person should know: why this precision, what was changed for memory, what comes first."""
    notes = [say(f"reason.train_precision_{settings.precision}", device=draft.device.label)]
    if frozen_dtype(settings) != "float32":
        notes.append(say("reason.train_frozen_half", dtype=frozen_dtype(settings)))
    if settings.gradient_checkpointing == "on" and draft.settings.gradient_checkpointing != "on":
        notes.append(say("reason.train_checkpointing_for_room"))
    batch = settings.per_device_train_batch_size
    if batch != draft.settings.per_device_train_batch_size:
        rows = batch * settings.gradient_accumulation_steps
        notes.append(say("reason.train_smaller_batch", batch=batch, rows=rows))
    if settings.max_steps > 0 and draft.wished.num_train_epochs > 0:
        notes.append(say("reason.train_steps_override", steps=settings.max_steps))
    if draft.base.download_bytes:
        notes.append(say("reason.train_download", name=draft.base.name, size=in_bytes(draft.base.download_bytes)))
    return notes


def _how_long(measured: Measurement | None, stopwatch: Stopwatch | None) -> list[Sentence]:
    """Tell how the time was found, and the measured peak, where it is of the very same pass."""
    if stopwatch is None:
        return []
    if measured is None:
        return [say("reason.train_time_unknown")]
    seconds, told = f"{measured.seconds_per_pass:.2f}", measured.bytes_told
    if told is None:
        return [say("reason.train_time_scaled", seconds=seconds, scale=f"{measured.scale:.1f}")]
    peak = say("reason.train_memory_measured", measured=in_bytes(told))
    return [say("reason.train_time_measured", seconds=seconds), peak]
