"""Makes the stories starter: a small Llama, trained from its first weights, that writes stories for small children."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    default_data_collator,
    set_seed,
)

from recipes._card import Card
from recipes._data import APACHE, CDLA_SHARING, Source, read
from recipes._measure import Measurement, score
from recipes._scratch import Lesson, ScratchRecipe, byte_level_tokenizer
from recipes._scratch_run import main
from recipes._stream import Blocks, bits_per_byte, nats, nats_per_token, reading_order, token_rows, windows

END = "<|endoftext|>"
BLOCK = 512
HELD_OUT = 100
"""Training stories that are only evaluated on; the validation split is measured once, at the end."""
STORY_PASSES = 7
TALE_PASSES = 4
"""The old tales are read in the first passes only: they bring words, the stories bring the manner.

The shipped weights were planned for 13 and 5 passes (4,940 steps), and shortened on the way: up to about step 1,300
their learning rate followed the longer cosine.
"""
SAMPLE_SEEDS = (1, 2, 3, 4, 5)

RECIPE = ScratchRecipe(
    name="stories",
    task="text-generation",
    auto_class="AutoModelForCausalLM",
    vocabulary=2048,
    steps=2910,
    batch_size=8,
    learning_rate=2e-3,
    weight_decay=0.1,
    dropout=0.1,
    average_decay=0.998,
)
CARD = Card(
    title="Stories",
    summary="Writes short stories in simple English, or goes on with the beginning of one.",
    sources=(
        Source(
            "tinystories",
            "TinyStories, Eldan and Li 2023: stories written by GPT-3.5 and GPT-4",
            CDLA_SHARING,
            f"stories of the training split, {STORY_PASSES} passes, {HELD_OUT} of them held out; validation stories "
            "and running text of the official validation split measured only",
        ),
        Source(
            "fairytale_qa",
            "FairytaleQA, Xu et al. 2022; the tales are of Project Gutenberg",
            f"{APACHE}, tales in the public domain",
            f"the whole tales of the training split, {TALE_PASSES} passes",
        ),
    ),
    license="apache-2.0",
    license_reason="CDLA-Sharing 1.0 does not restrict what is computed from the data; the tales are free.",
    limits=(
        "It knows the words and the world of a three-year-old: it cannot answer questions, explain or follow orders.",
        "It forgets who did what within a few sentences, swaps names, and repeats itself.",
        f"It was trained on {BLOCK} tokens at a time (about 1,800 letters), and falls apart beyond them.",
        "A name or word that is rare in its stories is soon replaced by a common one.",
        "English only.",
    ),
    example="Once upon a time",
)


def new_tokenizer(data: Path) -> PreTrainedTokenizerFast:
    """Return a tokenizer made from the training texts; the end-of-text token stands before each text."""
    specials = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END)
    return byte_level_tokenizer([*_stories(data)[0], *_tales(data)], RECIPE.vocabulary, specials, f"{END} $A")


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a Llama of 6 layers with random weights, and dropout after its embedding, attention and MLP layers."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=576,
        num_hidden_layers=6,
        num_attention_heads=4,
        max_position_embeddings=BLOCK,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        max_new_tokens=250,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    for name, module in model.named_modules():
        if name.endswith(("embed_tokens", "o_proj", "down_proj")):
            module.register_forward_hook(_dropped)
    return model


def _dropped(module: torch.nn.Module, _: tuple, output: torch.Tensor) -> torch.Tensor:
    """Llama's own configuration has dropout for the attention weights only."""
    return torch.nn.functional.dropout(output, RECIPE.dropout, module.training)


def lesson(data: Path, tokenizer: PreTrainedTokenizerFast, _: PreTrainedModel, __: ScratchRecipe) -> Lesson:
    """Return all passes as one stream of blocks, each pass in a new order."""
    stories, held_out = (token_rows(tokenizer, texts) for texts in _stories(data))
    tales = token_rows(tokenizer, _tales(data))
    passes = [(stories, tales) if number < TALE_PASSES else (stories,) for number in range(STORY_PASSES)]
    stream = np.concatenate(list(reading_order(passes, np.random.default_rng(RECIPE.seed))))
    return Lesson(Blocks(stream, BLOCK), Blocks(np.concatenate(held_out), BLOCK), default_data_collator)


def _stories(data: Path) -> tuple[list[str], list[str]]:
    """Return the stories to train on and those held out of them."""
    texts = [plain(text) for text in read(data, "tinystories", "train").text]
    order = np.random.default_rng(RECIPE.seed).permutation(len(texts))
    return [texts[i] for i in order[HELD_OUT:]], [texts[i] for i in order[:HELD_OUT]]


def _tales(data: Path) -> list[str]:
    table = read(data, "fairytale_qa", "stories")
    return [plain(text) for text in table[table.split == "train"].text]


def plain(text: str) -> str:
    """Return a text with one line feed between paragraphs; the sources differ in it."""
    return re.sub(r"\s*\n\s*", "\n", text.strip())


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, data: Path) -> list[Measurement]:
    """Score the loss on whole held-out stories, end of text included, and on running text."""
    texts = [plain(text) for text in read(data, "tinystories", "validation").text]
    pieces = windows([np.append(row, tokenizer.eos_token_id) for row in token_rows(tokenizer, texts)], BLOCK)
    table = np.zeros((len(texts), 3))
    for piece, costs in zip(pieces, nats(model, pieces), strict=True):
        table[piece.row, :2] += costs.sum(), len(costs)
    table[:, 2] = [len(text.encode()) for text in texts]
    return [
        *_scores(table, "validation", "150 stories with their end, one line feed between paragraphs"),
        *_scores(_running_text(model, tokenizer, data), "heldout_valid_text", "running text, by window"),
    ]


def _running_text(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, data: Path) -> np.ndarray:
    with gzip.open(data / "tinystories" / "heldout_valid_text.txt.gz", "rt", encoding="utf-8") as file:
        row = token_rows(tokenizer, [plain(file.read())])[0]
    # A token of the byte-level vocabulary has one letter for each byte.
    sizes = np.array([len(token) for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))])
    pieces = windows([row], BLOCK)
    scored = [piece.tokens[piece.scored_from :] for piece in pieces]
    costs = nats(model, pieces)
    return np.array([(cost.sum(), len(cost), sizes[part].sum()) for cost, part in zip(costs, scored, strict=True)])


def _scores(table: np.ndarray, split: str, note: str) -> list[Measurement]:
    return [
        score("bits_per_byte", "tinystories", split, table, f"{note}; lower is better", bits_per_byte),
        score("loss_per_token", "tinystories", split, table, f"{note}; nats", nats_per_token),
    ]


def samples(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, _: Path) -> list[dict[str, str]]:
    """Return a story for each of the fixed seeds, from the end-of-text token alone; none is selected."""
    return [{"seed": str(seed), "output": _story(model, tokenizer, seed)} for seed in SAMPLE_SEEDS]


def _story(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seed: int) -> str:
    set_seed(seed)
    with torch.inference_mode():
        tokens = model.generate(**tokenizer("", return_tensors="pt"))[0]
    return tokenizer.decode(tokens, skip_special_tokens=True)


if __name__ == "__main__":
    main(RECIPE.name)
