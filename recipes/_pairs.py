"""Pairs of texts for an encoder-decoder: batches of like lengths for training, and answers by beam search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    DataCollatorForSeq2Seq,
    GenerationConfig,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from recipes._measure import batches
from recipes._scratch import Lesson, ScratchRecipe

END = "<|endoftext|>"
PAD = "<|pad|>"
SPECIALS = {"eos_token": END, "pad_token": PAD}
TEMPLATE = f"$A {END}"
POOL = 200
"""Batches whose rows are sorted by length together: little padding, and still much chance."""


@dataclass(frozen=True)
class Shape:
    """The layers of an encoder-decoder, and how much it answers at most."""

    longest: int
    """Tokens of the longest source or target."""
    answer: int
    """Tokens of the longest answer."""
    encoder_layers: int = 3
    decoder_layers: int = 2
    width: int = 256
    feed_forward: int = 768
    heads: int = 4


def new_recipe(name: str, task: str, *, steps: int, batch_size: int, learning_rate: float) -> ScratchRecipe:
    """Return the settings that were found to train small encoder-decoders well, with a starter's own."""
    return ScratchRecipe(
        name=name,
        task=task,
        auto_class="AutoModelForSeq2SeqLM",
        vocabulary=4096,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=1000,
        weight_decay=0.01,
        dropout=0.15,
        label_smoothing=0.1,
        average_decay=0.999,
        evaluate_every=500,
    )


def new_model(tokenizer: PreTrainedTokenizerBase, shape: Shape, dropout: float) -> MarianMTModel:
    """Return Marian's encoder-decoder with random weights, one embedding for source, target and output."""
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id,
    }
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_ffn_dim=shape.feed_forward,
        decoder_ffn_dim=shape.feed_forward,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        max_position_embeddings=shape.longest,
        activation_function="relu",
        dropout=dropout,
        scale_embedding=True,
        # Scaled by the root of the width, embeddings come out as large as the positions that are added to them.
        init_std=shape.width**-0.5,
        forced_eos_token_id=tokenizer.eos_token_id,
        # For many short rows eager attention trains a third faster on a CPU than the fused kernel.
        attn_implementation="eager",
        **ids,
    )
    model = MarianMTModel(config)
    model.generation_config = GenerationConfig(
        num_beams=4,
        max_new_tokens=shape.answer,
        forced_eos_token_id=tokenizer.eos_token_id,
        bad_words_ids=[[tokenizer.pad_token_id]],
        **ids,
    )
    return model


@dataclass(frozen=True)
class Pairs(Dataset):
    """Tokens of sources and targets, and the order in which the pairs are read."""

    sources: Sequence[Sequence[int]]
    targets: Sequence[Sequence[int]]
    order: np.ndarray

    def __len__(self) -> int:
        """Return how many pairs are read, over all passes."""
        return len(self.order)

    def __getitem__(self, index: int) -> dict[str, Sequence[int]]:
        """Return the pair that is read at this place."""
        row = self.order[index]
        return {"input_ids": self.sources[row], "labels": self.targets[row]}


def reading_order(lengths: np.ndarray, recipe: ScratchRecipe) -> np.ndarray:
    """Return row numbers for all of a recipe's steps: a pass is a new order, a batch has rows of like lengths.

    `lengths`: tokens (rows, 2) of source and target. Batches are alike first in the side that is longer on the whole.
    """
    assert len(lengths) >= recipe.batch_size, "fewer pairs than a batch"
    random = np.random.default_rng(recipe.seed)
    lengths = lengths[:, np.argsort(lengths.sum(axis=0))]
    size, needed, passes = recipe.batch_size, recipe.steps * recipe.batch_size, []
    while sum(map(len, passes)) < needed:
        passes.append(_one_pass(lengths, size, random))
    return np.concatenate(passes)[:needed]


def _one_pass(lengths: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    order = random.permutation(len(lengths))
    pools = [order[start : start + POOL * size] for start in range(0, len(order), POOL * size)]
    order = np.concatenate([pool[np.lexsort(lengths[pool].T)] for pool in pools])
    # What does not fill a batch is left to another pass.
    whole = len(order) // size * size
    return random.permutation(order[:whole].reshape(-1, size)).reshape(-1)


def lesson(
    recipe: ScratchRecipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    taught: tuple[Sequence[str], Sequence[str]],
    held_out: tuple[Sequence[str], Sequence[str]],
) -> Lesson:
    """Return pairs (sources, targets) as what a model learns from and is checked on."""
    longest = model.config.max_position_embeddings
    sources, targets = (_tokens(tokenizer, texts, longest) for texts in taught)
    check = [_tokens(tokenizer, texts, longest) for texts in held_out]
    lengths = np.array([(len(source), len(target)) for source, target in zip(sources, targets, strict=True)])
    return Lesson(
        Pairs(sources, targets, reading_order(lengths, recipe)),
        Pairs(*check, np.argsort([len(row) for row in check[0]])),
        DataCollatorForSeq2Seq(tokenizer, model),
    )


def _tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int) -> list[list[int]]:
    return tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]


def answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[str]:
    """Return what the model makes of each text, generated as its own settings say."""
    found = [""] * len(texts)
    for batch in batches([len(text) for text in texts]):
        inputs = tokenizer(
            [texts[i] for i in batch],
            padding=True,
            truncation=True,
            max_length=model.config.max_position_embeddings,
            return_tensors="pt",
        )
        with torch.inference_mode():
            outputs = tokenizer.batch_decode(model.generate(**inputs), skip_special_tokens=True)
        for i, output in zip(batch, outputs, strict=True):
            found[i] = output
    return found
