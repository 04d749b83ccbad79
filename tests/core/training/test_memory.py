"""Tests of the predicted memory: its parts, its refusal, and what is changed so that a run fits."""

from __future__ import annotations

import dataclasses

import pytest

from core.errors import NotEnoughMemory
from core.machine.devices import Device
from core.placement.model_facts import ModelFacts
from core.training.defaults import DataShape, with_defaults
from core.training.memory import MemoryNeeds, fitted, frozen_dtype, require_room, training_parts
from core.training.methods import Parameters
from core.training.settings import TrainSettings

CPU = Device("cpu", 0, "", 64_000_000_000, 32_000_000_000)
FACTS = ModelFacts(parameters=100_000_000, hidden_size=768, layers=12, heads=12, positions=512)
DATA = DataShape(rows=5_000, validation_rows=500, longest=256)


def needs(parameters: Parameters | None = None, **wished: object) -> MemoryNeeds:
    """Return the needs of a run with every choice made."""
    settings = with_defaults(TrainSettings(**{"precision": "fp32", **wished}), FACTS, DATA, CPU)
    everything = Parameters(100_000_000, 100_000_000) if settings.method == "full" else Parameters(10**6, 101_000_000)
    return MemoryNeeds(settings, FACTS, parameters or everything)


def parts(wanted: MemoryNeeds) -> dict[str, int]:
    """Return the bytes by part."""
    return {part.name: part.bytes for part in training_parts(wanted, CPU)}


def test_full_training_holds_sixteen_bytes_a_number() -> None:
    """Weight, gradient and AdamW's two moments, each in float32 (EleutherAI, Transformer Math 101)."""
    found = parts(needs(method="full"))
    assert found["weights"] + found["gradients"] + found["optimiser"] == 16 * 100_000_000


def test_an_adapter_learns_little() -> None:
    """Gradients and moments are of what learns only; frozen weights are halved under bfloat16."""
    whole, halved = parts(needs()), parts(needs(precision="bf16"))
    assert whole["gradients"] + whole["optimiser"] == 12 * 10**6
    assert whole["weights"] == 4 * 101_000_000
    assert halved["weights"] == 2 * 100_000_000 + 4 * 10**6
    assert halved["activations"] == whole["activations"] // 2


@pytest.mark.parametrize(("optim", "each"), [("sgd", 0), ("adamw_torch", 8), ("adamw_bnb_8bit", 2)])
def test_optimisers_differ(optim: str, each: int) -> None:
    """SGD keeps nothing, AdamW two moments, its 8-bit form two bytes."""
    assert parts(needs(optim=optim))["optimiser"] == each * 10**6


def test_activations_follow_korthikanti() -> None:
    """34 x hidden bytes a token and layer in half precision (arXiv 2205.05198, equation 2)."""
    wanted = needs(precision="bf16", per_device_train_batch_size=2, max_length=128)
    assert parts(wanted)["activations"] == 34 * 768 * 2 * 128 * 12


def test_four_bits_are_four_and_a_half() -> None:
    """QLoRA's frozen weights take 4.5 bits, the embeddings excepted; the adapter is whole."""
    wanted = dataclasses.replace(needs(method="qlora"), facts=dataclasses.replace(FACTS, embedding_parameters=0))
    assert parts(wanted)["weights"] == int(100_000_000 * 4.5 / 8) + 4 * 10**6


def test_checkpointing_keeps_one_layer() -> None:
    """Computed again, activations are much fewer."""
    assert parts(needs(gradient_checkpointing="on"))["activations"] < parts(needs())["activations"] / 5


def test_what_learns_is_whole() -> None:
    """Full training holds float32 whatever it computes in; frozen weights may be halved."""
    assert frozen_dtype(TrainSettings(method="full", precision="bf16")) == "float32"
    assert frozen_dtype(TrainSettings(precision="bf16")) == "bfloat16"
    assert frozen_dtype(TrainSettings(precision="fp32")) == "float32"


def test_too_big_is_refused_with_remedies() -> None:
    """The refusal names what is needed, what is free, and what each remedy would come to."""
    wanted = needs(method="full", max_length=512)
    with pytest.raises(NotEnoughMemory) as refusal:
        require_room(wanted, CPU, 1_500_000_000)
    values, words = refusal.value.sentence.values, str(refusal.value)
    assert values["needed_bytes"] == sum(parts(wanted).values())
    assert values["free_bytes"] == 1_500_000_000
    assert "method lora" in words
    assert "gradient_checkpointing" in words
    assert "1.5 GB" in words


def test_batches_shrink_until_it_fits() -> None:
    """What one step sees stays: fewer rows at once, more accumulated."""
    wanted = needs()
    rows = wanted.settings.per_device_train_batch_size * wanted.settings.gradient_accumulation_steps
    room = sum(parts(wanted).values()) - 500_000_000
    found = fitted(wanted, CPU, room, frozenset())
    assert found.per_device_train_batch_size < wanted.settings.per_device_train_batch_size
    assert found.per_device_train_batch_size * found.gradient_accumulation_steps == rows
    assert sum(parts(dataclasses.replace(wanted, settings=found)).values()) <= room


def test_a_typed_batch_is_not_touched() -> None:
    """Only checkpointing may help where somebody chose the batch; where both were chosen, nothing does."""
    wanted = needs()
    room = sum(parts(wanted).values()) - 500_000_000
    found = fitted(wanted, CPU, room, frozenset({"per_device_train_batch_size"}))
    assert found.per_device_train_batch_size == wanted.settings.per_device_train_batch_size
    assert found.gradient_checkpointing == "on"
    both = frozenset({"per_device_train_batch_size", "gradient_checkpointing"})
    assert fitted(wanted, CPU, room, both) == wanted.settings
