"""Tests of what is chosen where nobody chose."""

from __future__ import annotations

import dataclasses

import pytest

from core.machine.devices import Device
from core.placement.model_facts import ModelFacts
from core.training.defaults import DataShape, steps_per_epoch, total_steps, with_defaults
from core.training.settings import TrainSettings
from core.training.tasks import TRAIN_TASKS

SMALL = ModelFacts(parameters=22_000_000, hidden_size=384, layers=6, heads=12, positions=512)
LARGE = dataclasses.replace(SMALL, parameters=1_000_000_000, hidden_size=2_048, kind="decoder", positions=4_096)
CPU = Device("cpu", 0, "", 16_000_000_000, 8_000_000_000)
GPU = Device("cuda", 0, "", 80_000_000_000, 70_000_000_000, bf16=True)
DATA = DataShape(rows=900, validation_rows=100, longest=57, typical=30)
EVERY = [(task.name, method) for task in TRAIN_TASKS.values() for method in task.methods]


@pytest.mark.parametrize(("task", "method"), EVERY)
@pytest.mark.parametrize("device", [CPU, GPU], ids=["cpu", "gpu"])
def test_nothing_is_left_to_choose(task: str, method: str, device: Device) -> None:
    """Every task with every method gets a whole set of numbers."""
    found = with_defaults(TrainSettings(task=task, method=method), SMALL, DATA, device)
    left = {name for name, value in dataclasses.asdict(found).items() if value == "auto"} - {"kind", "target_modules"}
    assert left == set()
    assert found.learning_rate > 0
    assert found.num_train_epochs > 0
    assert found.warmup_steps >= 0
    assert min(found.per_device_train_batch_size, found.per_device_eval_batch_size) > 0
    assert min(found.gradient_accumulation_steps, found.logging_steps) > 0


@pytest.mark.parametrize(("task", "method"), EVERY)
def test_choosing_twice_changes_nothing(task: str, method: str) -> None:
    """A settings file with all choices made means the same to whoever reads it again."""
    found = with_defaults(TrainSettings(task=task, method=method), SMALL, DATA, CPU)
    assert with_defaults(found, LARGE, DataShape(rows=5), GPU) == found


def test_what_somebody_chose_stays() -> None:
    """A typed value is never overruled."""
    typed = {"r": 4, "lora_alpha": 4, "learning_rate": 0.01, "per_device_train_batch_size": 3, "num_train_epochs": 0.5}
    typed |= {"warmup_steps": 0, "max_length": 24, "precision": "fp32", "eval_strategy": "no", "logging_steps": 7}
    found = with_defaults(TrainSettings(**typed), SMALL, DATA, GPU)
    assert {name: getattr(found, name) for name in typed} == typed
    assert found.gradient_accumulation_steps == 1


def test_inputs_are_as_long_as_nearly_all_rows() -> None:
    """max_length is the data's own length in eights, and never more than the model reads."""
    assert with_defaults(TrainSettings(), SMALL, DATA, CPU).max_length == 64
    long = dataclasses.replace(DATA, longest=9_000)
    assert with_defaults(TrainSettings(), SMALL, long, CPU).max_length == 512
    assert with_defaults(TrainSettings(), SMALL, DataShape(rows=9), CPU).max_length == 0


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        (CPU, "fp32"),
        (dataclasses.replace(CPU, bf16=True), "bf16"),
        (GPU, "bf16"),
        (dataclasses.replace(GPU, bf16=False), "fp16"),
    ],
)
def test_half_precision_where_the_device_computes_it(device: Device, precision: str) -> None:
    """bf16 needs hardware that has it; an older GPU has fp16."""
    assert with_defaults(TrainSettings(), SMALL, DATA, device).precision == precision


def test_running_text_is_packed_and_conversations_are_not() -> None:
    """What one answer learns must not come from another."""
    text = TrainSettings(task="text-generation")
    assert with_defaults(text, SMALL, DATA, CPU).packing == "on"
    chat = dataclasses.replace(DATA, shape="chat")
    found = with_defaults(text, SMALL, chat, CPU)
    assert (found.packing, found.train_sampling_strategy) == ("off", "group_by_length")


def test_evaluations_need_rows() -> None:
    """Without held-out rows nothing is evaluated and no best model looked for; checkpoints are written all the same."""
    alone = TrainSettings(validation_fraction=0)
    found = with_defaults(alone, SMALL, DataShape(rows=100), CPU)
    assert (found.eval_strategy, found.load_best_model_at_end, found.save_strategy) == ("no", False, "steps")
    assert found.save_steps > 0


def test_the_best_model_is_saved_when_it_is_measured() -> None:
    """Evaluations and checkpoints come at the same steps."""
    for rows in (10, 900, 50_000, 2_000_000):
        found = with_defaults(TrainSettings(), SMALL, DataShape(rows=rows, validation_rows=9), CPU)
        assert (found.save_strategy, found.save_steps) == (found.eval_strategy, found.eval_steps)


def test_a_rank_fits_a_small_model() -> None:
    """The proposed rank is far below a layer's size."""
    tiny = dataclasses.replace(SMALL, hidden_size=32)
    assert with_defaults(TrainSettings(), tiny, DATA, CPU).r == 8
    assert with_defaults(TrainSettings(method="adalora"), tiny, DATA, CPU).init_r == 12


def test_steps_are_counted_as_the_trainer_does() -> None:
    """ceil(ceil(rows / batch) / accumulation) in an epoch; a number of steps overrides the epochs."""
    settings = TrainSettings(per_device_train_batch_size=8, gradient_accumulation_steps=4, num_train_epochs=2.5)
    assert steps_per_epoch(settings, 100) == 4
    assert total_steps(settings, 100) == 10
    assert total_steps(dataclasses.replace(settings, num_processes=2), 100) == 5
    assert total_steps(dataclasses.replace(settings, max_steps=7), 100) == 7
