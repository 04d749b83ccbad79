"""Tests of how much of a model moves, on tiny models of every kind."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput
from core.machine.devices import Device
from core.training.base import Base
from core.training.defaults import DataShape, with_defaults
from core.training.methods import Circumstances, Parameters, apply_method, count_parameters
from core.training.settings import TrainSettings
from core.training.skeleton import skeleton
from core.training.tasks import TRAIN_TASKS
from tests.core.training.bases import base_in
from tests.fakes.models import tiny_bert, tiny_llama, tiny_t5

CPU = Device("cpu", 0, "", 16_000_000_000, 8_000_000_000)
EVERY = [
    (task.name, method)
    for task in TRAIN_TASKS.values()
    for method in task.methods
    if task.kind != "diffusion" and method != "qlora"
]
AROUND = Circumstances(total_steps=100)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Base]:
    """Return a tiny base of each kind."""
    folder = tmp_path_factory.mktemp("bases")
    bert = tiny_bert(folder / "bert")
    made = {"encoder": bert, "decoder": tiny_llama(folder / "llama"), "encoder-decoder": tiny_t5(folder / "t5", bert)}
    return {kind: base_in(one) for kind, one in made.items()}


def ready(settings: TrainSettings, base: Base) -> TrainSettings:
    """Return the settings with every choice made."""
    return with_defaults(settings, base.facts, DataShape(rows=500, validation_rows=50), CPU)


@pytest.mark.parametrize(("task", "method"), EVERY)
def test_counted_as_it_will_be(bases: dict[str, Base], task: str, method: str) -> None:
    """Without weights, every method counts what it counts with them, and the adapter learns alone with its head."""
    base = bases[TRAIN_TASKS[task].kind]
    settings = ready(TrainSettings(task=task, method=method), base)
    foreseen = count_parameters(apply_method(skeleton(base, settings.known_task, 3), settings, AROUND))
    model = skeleton(base, settings.known_task, 3, device="cpu")
    before = count_parameters(model)
    adapted = count_parameters(apply_method(model, settings, AROUND))
    assert adapted == foreseen
    assert (adapted.trainable == before.total) is (method == "full")
    assert adapted.total > before.total or method == "full"


@pytest.mark.parametrize("method", ["lora", "adalora", "ia3", "prefix-tuning", "prompt-tuning"])
def test_the_head_learns_beside_the_adapter(bases: dict[str, Base], method: str) -> None:
    """A classifier's fresh head is trained and saved whole."""
    settings = ready(TrainSettings(method=method), bases["encoder"])
    adapted = apply_method(skeleton(bases["encoder"], settings.known_task), settings, AROUND)
    learning = {name for name, one in adapted.named_parameters() if one.requires_grad}
    assert any("classifier" in name for name in learning)
    assert not any("word_embeddings.weight" in name and "prompt" not in name for name in learning)


def test_lora_says_what_it_was_told(bases: dict[str, Base]) -> None:
    """Rank, alpha, dropout, rsLoRA and DoRA reach peft; so do the layers."""
    wished = TrainSettings(r=4, lora_alpha=12, lora_dropout=0.2, use_rslora=True, use_dora=True, target_modules="query")
    settings = ready(wished, bases["encoder"])
    config = apply_method(skeleton(bases["encoder"], settings.known_task), settings).peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 12, 0.2)
    assert config.use_rslora
    assert config.use_dora
    assert config.target_modules == {"query"}


def test_fresh_modules_are_saved(bases: dict[str, Base]) -> None:
    """What the checkpoint lacks is learnt beside the adapter, so that the saved run is whole."""
    settings = ready(TrainSettings(), bases["encoder"])
    around = Circumstances(fresh=("pooler",))
    adapted = apply_method(skeleton(bases["encoder"], settings.known_task), settings, around)
    assert {"pooler", "classifier"} <= set(adapted.peft_config["default"].modules_to_save)


def test_adalora_needs_a_middle(bases: dict[str, Base]) -> None:
    """A run too short for AdaLoRA's three parts is refused with the number of steps."""
    settings = ready(TrainSettings(method="adalora"), bases["encoder"])
    with pytest.raises(InvalidInput, match=r"10 steps.*has 9"):
        apply_method(skeleton(bases["encoder"], settings.known_task), settings, Circumstances(total_steps=9))


def test_first_words_of_a_prompt_are_read_with_the_tokenizer(tmp_path: Path) -> None:
    """Prompt tuning begins with the embeddings of the words that were typed."""
    import torch

    folder = tiny_bert(tmp_path / "bert")
    base = base_in(folder)
    wished = TrainSettings(method="prompt-tuning", num_virtual_tokens=2, prompt_tuning_init_text="good film")
    model = skeleton(base, wished.known_task, device="cpu")
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table.copy_(torch.arange(table.numel()).reshape(table.shape))
    adapted: Any = apply_method(model, ready(wished, base), Circumstances(tokenizer_folder=folder))
    words = adapted.prompt_encoder["default"].embedding.weight
    assert {tuple(row.tolist()) for row in words} <= {tuple(row.tolist()) for row in table}


def test_a_model_that_a_method_does_not_know_is_refused(bases: dict[str, Base]) -> None:
    """The width of a DistilBERT's embeddings is not found by peft; that is told in words."""
    config = {"model_type": "distilbert", "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": 99}
    base = dataclasses.replace(bases["encoder"], configurations={"": config})
    settings = ready(TrainSettings(method="prefix-tuning"), base)
    with pytest.raises(InvalidInput, match="DistilBertForSequenceClassification"):
        apply_method(skeleton(base, settings.known_task), settings)


def test_the_share_that_learns() -> None:
    """A share is a part of all; nothing of nothing is nothing."""
    assert Parameters(25, 100).share == 0.25
    assert Parameters(0, 0).share == 0
