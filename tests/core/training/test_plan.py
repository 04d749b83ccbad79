"""Tests of the plan: what it tells, what it refuses, and that its time is measured on the very model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from core.catalogue import Catalogue
from core.errors import Cancelled, InvalidInput, NotEnoughMemory
from core.events import CancelToken
from core.hub.client import Hub
from core.machine.devices import Device, Hardware
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Settings
from core.training import plan as planning
from core.training.defaults import DataShape
from core.training.measurement import Stopwatch
from core.training.plan import Surroundings, plan_run
from core.training.settings import TrainSettings, settings_from
from tests.fakes.models import tiny_bert

DATA = DataShape(rows=200, validation_rows=20, longest=16, typical=9)
CPU = Device("cpu", 0, "a processor", 16_000_000_000, 8_000_000_000)


def surroundings(device: Device = CPU, stopwatch: Stopwatch | None = None) -> Surroundings:
    """Return an instance on an invented machine with two cores."""
    catalogue = Catalogue(Settings())
    loader = Loader(catalogue, Hub(offline=True))
    registry = Registry(catalogue, loader, probe=lambda: Hardware((device,), 2))
    return Surroundings(registry, loader, stopwatch)


@pytest.fixture
def bert(tmp_path: Path) -> str:
    """Return the folder of a tiny BERT."""
    return str(tiny_bert(tmp_path / "bert"))


def test_a_plan_tells_everything(bert: str) -> None:
    """Steps, parameters, memory in parts, the settings file, the command: all before the start."""
    found = plan_run(TrainSettings(model=bert), DATA, surroundings(), folder="/runs/x")
    assert found.steps == found.steps_per_epoch * found.settings.num_train_epochs
    assert found.parameters.trainable < found.parameters.total
    assert [part.name for part in found.parts] == ["weights", "gradients", "optimiser", "activations", "libraries"]
    assert found.needed_bytes < found.free_bytes
    assert settings_from(json.loads(found.settings_json)) == found.settings
    assert found.command == "python -m core.training.worker /runs/x"
    assert found.device == "cpu"
    assert {group.name for group in found.layers} == {"query", "key", "value", "dense"}
    assert found.seconds is None
    assert found.evicts == ()


def test_planning_the_plan_changes_nothing(bert: str) -> None:
    """The settings that a plan shows are planned to the same settings again."""
    found = plan_run(TrainSettings(model=bert), DATA, surroundings())
    assert plan_run(found.settings, DATA, surroundings()).settings == found.settings


@pytest.mark.parametrize(
    ("wished", "key"),
    [
        ({"method": "qlora"}, "error.train_needs_cuda"),
        ({"optim": "adamw_bnb_8bit"}, "error.train_needs_cuda"),
        ({"precision": "fp16"}, "error.train_fp16_on_cpu"),
        ({"num_processes": 3}, "error.train_too_many_processes"),
        ({"r": 33}, "error.train_rank_above_layer"),
        ({"target_modules": "q_proj"}, "error.train_targets_missing"),
        ({"device": "cuda"}, "error.no_such_device"),
    ],
)
def test_what_cannot_be_is_refused_before_the_start(bert: str, wished: dict[str, object], key: str) -> None:
    """Each refusal has its own sentence."""
    with pytest.raises(InvalidInput) as refusal:
        plan_run(TrainSettings(model=bert, **wished), DATA, surroundings())
    assert refusal.value.sentence.key == key


def test_a_tracker_that_is_not_installed_is_refused(bert: str) -> None:
    """Nobody learns at the end that the report went nowhere."""
    with pytest.raises(InvalidInput, match="pip install wandb"):
        plan_run(TrainSettings(model=bert, report_to="wandb"), DATA, surroundings())


def test_too_big_is_refused(bert: str) -> None:
    """A machine without room is told so, with the numbers."""
    full = dataclasses.replace(CPU, free_bytes=100_000_000)
    with pytest.raises(NotEnoughMemory, match=r"100\.0 MB"):
        plan_run(TrainSettings(model=bert), DATA, surroundings(full))


def test_idle_models_go_and_borrowed_ones_stay(bert: str) -> None:
    """An idle model is counted as room and named; while it is used, it is neither."""
    around = surroundings()
    spec = around.registry.resolve(bert, "text-classification")
    with around.registry.borrow(spec):
        pass
    (resident,) = around.registry.ledger()
    wished = TrainSettings(model=bert, per_device_train_batch_size=8, gradient_checkpointing="off")
    needed = plan_run(wished, DATA, around).needed_bytes
    short = dataclasses.replace(CPU, free_bytes=needed - resident.measured_bytes // 2)
    tight = dataclasses.replace(around, registry=_on(around.registry, short))
    found = plan_run(wished, DATA, tight)
    assert (found.evicts, found.evict_ids) == ((resident.name,), (resident.id,))
    with around.registry.borrow(spec), pytest.raises(NotEnoughMemory):
        plan_run(wished, DATA, tight)


def _on(registry: Registry, device: Device) -> Registry:
    """Put a registry onto another machine, with what it holds."""
    registry._probe = lambda: Hardware((device,), 2)
    return registry


def test_time_and_peak_are_measured_once(bert: str, tmp_path: Path) -> None:
    """The very model steps with throw-away weights; the next plan remembers, also for a run that lasts longer."""
    stopwatch = Stopwatch(tmp_path / "measured", patience_seconds=280)
    settings = TrainSettings(model=bert, num_train_epochs=2)
    first = plan_run(settings, DATA, surroundings(stopwatch=stopwatch))
    assert first.measured
    assert first.seconds
    assert not first.measured.cached
    assert first.measured.bytes_told
    longer = plan_run(dataclasses.replace(settings, num_train_epochs=4), DATA, surroundings(stopwatch=stopwatch))
    assert longer.measured
    assert longer.measured.cached
    passes = [one.steps * one.settings.gradient_accumulation_steps for one in (first, longer)]
    assert longer.measured.seconds_per_pass == first.measured.seconds_per_pass
    assert passes[1] == 2 * passes[0]
    assert longer.seconds > first.seconds


def test_a_measurement_can_be_stopped(bert: str) -> None:
    """Whoever closes the plan does not wait for it."""
    stop = CancelToken()
    around = surroundings(stopwatch=Stopwatch())
    settings = plan_run(TrainSettings(model=bert), DATA, surroundings()).settings
    base = planning.look_at(planning.base_spec(settings, around.registry.resolve), around.files)
    stop.cancel()
    with pytest.raises(Cancelled):
        Stopwatch().measure(planning.Order(base, settings, 2, 30_000), "here", stop)
