"""Training from first weights: interrupted runs, the average that is kept, the files, and what is published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    default_data_collator,
    set_seed,
)

from recipes._average import AVERAGE
from recipes._card import Card
from recipes._measure import Measurement, score
from recipes._scratch import BEST, Lesson, ScratchRecipe, byte_level_tokenizer, save_starter, train
from recipes._scratch_run import Places, make, shortened
from recipes._stream import Blocks
from recipes._train import resumable

TEXTS = ["The cat sat on the mat.", "The dog sat on the log.", "A bird flew over the house."] * 20
END = "<|endoftext|>"
RECIPE = ScratchRecipe(
    name="tiny",
    task="text-generation",
    auto_class="AutoModelForCausalLM",
    vocabulary=280,
    steps=8,
    batch_size=2,
    learning_rate=1e-2,
    warmup_steps=1,
    evaluate_every=4,
    save_every=2,
)


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of nearly bytes."""
    return byte_level_tokenizer(TEXTS, 280, {"eos_token": END, "pad_token": END}, f"{END} $A")


def new_model(known: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a very small Llama whose attention drops out, so that a resumed run must find the same chances."""
    config = LlamaConfig(
        vocab_size=len(known),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        attention_dropout=0.1,
        eos_token_id=known.eos_token_id,
        pad_token_id=known.pad_token_id,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


class PowerCutError(Exception):
    """The end of a run that nobody planned."""


class CutOff(Dataset):
    """Rows whose reading ends in a power cut."""

    def __init__(self, rows: Dataset, last: int) -> None:
        """Let rows up to `last` be read."""
        self._rows, self._last = rows, last

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return a row, or end the run."""
        if index > self._last:
            raise PowerCutError
        return self._rows[index]


def lesson(_: Path, known: PreTrainedTokenizerFast, *__: object) -> Lesson:
    """Return blocks of 16 tokens."""
    stream = np.concatenate([np.array(row, dtype=np.uint16) for row in known(TEXTS)["input_ids"]])
    return Lesson(Blocks(stream, 16), Blocks(stream[:128], 16), default_data_collator)


def run(folder: Path, last_row: int | None = None) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Train in a folder, and return the facts and the weights."""
    set_seed(RECIPE.seed)
    known = tokenizer()
    model = new_model(known)
    taught = lesson(folder, known, model)
    if last_row is not None:
        taught = replace(taught, rows=CutOff(taught.rows, last_row))
    return train(RECIPE, model, taught, folder), model.state_dict()


def test_an_interrupted_run_ends_like_one_that_was_not(tmp_path: Path) -> None:
    """A run that was cut off goes on at its last checkpoint and ends with the very weights of an unbroken run."""
    facts, whole = run(tmp_path / "whole")
    with pytest.raises(PowerCutError):
        run(tmp_path / "cut", last_row=10)
    assert (tmp_path / "cut" / "checkpoint-4").exists()
    resumed, again = run(tmp_path / "cut")
    assert (facts["resumed"], resumed["resumed"]) == (False, True)
    assert facts["steps"] == resumed["steps"] == RECIPE.steps
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_checkpoint_without_its_average_is_not_gone_on_from(tmp_path: Path) -> None:
    """What a kill left half written is removed, and the checkpoint before it is taken."""
    run(tmp_path)
    assert resumable(tmp_path, AVERAGE) == tmp_path / "checkpoint-8"
    (tmp_path / "checkpoint-8" / AVERAGE).unlink()
    assert resumable(tmp_path) == tmp_path / "checkpoint-8"
    assert resumable(tmp_path, AVERAGE) == tmp_path / "checkpoint-6"
    assert not (tmp_path / "checkpoint-8").exists()


def test_the_best_average_is_what_is_left_in_the_model(tmp_path: Path) -> None:
    """The model ends with the average of the lowest held-out loss, and the facts say at which step that was."""
    facts, weights = run(tmp_path)
    with safe_open(tmp_path / BEST, "pt") as file:
        assert int(file.metadata()["step"]) == facts["best_step"]
        assert round(float(file.metadata()["loss"]), 4) == facts["best_held_out_loss"]
        assert all(torch.equal(file.get_tensor(name), weights[name]) for name in file.keys())  # noqa: SIM118


def test_the_tokenizer_gives_any_text_back() -> None:
    """Bytes that no training text had are kept, and the end-of-text token stands before the text."""
    known = tokenizer()
    text = "  Zoë’s 猫\n\tsat! "
    tokens = known(text)["input_ids"]
    assert tokens[0] == known.eos_token_id
    assert known.decode(tokens, skip_special_tokens=True) == text


def test_saved_files_load_with_the_plain_library(tmp_path: Path) -> None:
    """A plain from_pretrained gives float32 weights that are the half-precision ones, and the tokenizer."""
    known = tokenizer()
    model = new_model(known)
    halves = {name: tensor.half().float() for name, tensor in model.state_dict().items()}
    save_starter(model, known, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float32
    assert all(torch.equal(tensor, halves[name]) for name, tensor in loaded.state_dict().items())
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXTS)["input_ids"] == known(TEXTS)["input_ids"]
    assert set(AutoTokenizer.from_pretrained(tmp_path)("A bird")) == {"input_ids", "attention_mask"}


def measured(model: PreTrainedModel, known: PreTrainedTokenizerFast, _: Path) -> list[Measurement]:
    """Return a score that is easy to recognise."""
    assert len(known) == model.config.vocab_size
    return [score("answers", "tiny", "train", [42.0, 42.0])]


@pytest.fixture
def module() -> Iterator[SimpleNamespace]:
    """Give what a recipe's module gives."""
    card = Card("Tiny", "Says little.", (), "apache-2.0", "It is ours.", ("It is bad at everything.",), "A")
    return SimpleNamespace(
        CARD=card,
        new_tokenizer=lambda _: tokenizer(),
        new_model=new_model,
        lesson=lesson,
        measure=measured,
        samples=lambda *_: [{"seed": "1", "output": "one\ntwo"}],
    )


def test_a_finished_recipe_is_published_with_its_card(tmp_path: Path, module: SimpleNamespace) -> None:
    """The starter's folder has weights, numbers and a card, and the checkpoints are gone."""
    places = Places(tmp_path, tmp_path / "starters", tmp_path / "checkpoints")
    make(module, RECIPE, places)
    folder = tmp_path / "starters" / "tiny"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert metrics["measurements"][0]["value"] == 42
    assert metrics["training"]["settings"]["steps"] == RECIPE.steps
    assert "| answers | 42.0 | 42.0 – 42.0 |" in card
    assert "> two" in card
    assert not (tmp_path / "checkpoints" / "tiny").exists()


def test_a_recipe_that_refuses_its_own_result_publishes_nothing(tmp_path: Path, module: SimpleNamespace) -> None:
    """What is not worth shipping stays beside its checkpoints."""
    module.refusal = lambda found: f"{found[0].value} is no answer."
    make(module, RECIPE, Places(tmp_path, tmp_path / "starters", tmp_path / "checkpoints"))
    assert not (tmp_path / "starters").exists()
    assert (tmp_path / "checkpoints" / "tiny" / "starter" / "model.safetensors").exists()


def test_a_shortened_recipe_evaluates_and_saves_on_the_way() -> None:
    """A try of a few steps meets an evaluation and a checkpoint."""
    short = shortened(RECIPE, 4)
    assert (short.steps, short.evaluate_every, short.save_every) == (4, 1, 1)
