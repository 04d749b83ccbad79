"""Makes the fill-mask starter: which words fit a gap in an English text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import BertForMaskedLM, DataCollatorForLanguageModeling, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

from recipes._card import Card
from recipes._data import APACHE, CC_BY_SA, CDLA_SHARING, Source, read
from recipes._measure import Measurement, score
from recipes._run import main
from recipes._train import Recipe, tokenizer

MASKED_SHARE = 0.15
MARKS = 2
"""[CLS] and [SEP], which each window has."""
NOT_MASKED = -100
"""The label of a token that is not asked for."""

RECIPE = Recipe(
    name="fill-mask",
    task="fill-mask",
    head=("transform",),
    epochs=4,
    learning_rate=7e-4,
    batch_size=32,
    max_length=128,
    rank=64,
    alpha=128,
    dropout=0.0,
    average_decay=0.998,
)
CARD = Card(
    title="Fill the mask",
    summary="Says which words fit the gap [MASK] in an English sentence, with their probabilities.",
    sources=(
        Source("tinystories", "TinyStories, Eldan and Li 2023", CDLA_SHARING, "stories of the training split"),
        Source(
            "fairytale_qa",
            "FairytaleQA, Xu et al. 2022; the tales are of Project Gutenberg",
            f"{APACHE}, tales in the public domain",
            "the whole tales of the training split",
        ),
        Source(
            "squad", "SQuAD 1.1, Rajpurkar et al. 2016", CC_BY_SA, "paragraphs of the training split, without questions"
        ),
    ),
    license="cc-by-sa-4.0",
    license_reason="The paragraphs of SQuAD are CC BY-SA 4.0, which asks for attribution and the same licence.",
    limits=(
        "It knows children's stories, fairy tales and encyclopaedia paragraphs; slang, code and trades surprise it.",
        "It fills a gap with one token of its vocabulary; a long or rare word is more than one.",
        "It has seen little text: asked for a fact (“Paris is the capital of [MASK].”), it guesses some such word.",
        "Its probabilities repeat the stories' clichés, those about people included.",
        "Uncased and English only.",
    ),
    example="The little girl opened the [MASK] and walked in.",
)


def training_rows(data: Path) -> Dataset:
    """Return windows of tokens of stories, tales and paragraphs; the collator masks them anew in each pass."""
    return Dataset.from_dict({"input_ids": windows(texts(data, "train"))})


def collator() -> DataCollatorForLanguageModeling:
    """Return the collator that hides a share of the tokens."""
    return DataCollatorForLanguageModeling(tokenizer(), mlm_probability=MASKED_SHARE)


def prepare(model: PeftModel) -> None:
    """Let the model compute words for the masked places only, a seventh of the vocabulary's large product."""
    masked = model.get_base_model()
    masked.forward = partial(_masked_places_only, masked)


def _masked_places_only(
    model: BertForMaskedLM, input_ids: torch.Tensor, labels: torch.Tensor, **inputs: torch.Tensor
) -> MaskedLMOutput:
    masked = labels != NOT_MASKED
    hidden = model.bert(input_ids, attention_mask=inputs["attention_mask"]).last_hidden_state[masked]
    logits = model.cls(hidden).float()
    return MaskedLMOutput(loss=torch.nn.functional.cross_entropy(logits, labels[masked]), logits=logits)


def texts(data: Path, split: str) -> list[str]:
    """Return the stories, tales and paragraphs of a split."""
    return [text for several in _by_source(data, split).values() for text in several]


def _by_source(data: Path, split: str) -> dict[str, list[str]]:
    tales = read(data, "fairytale_qa", "stories")
    return {
        "tinystories": read(data, "tinystories", split).text.tolist(),
        "fairytale_qa": tales[tales.split == split].text.tolist(),
        "squad": read(data, "squad", split).context.drop_duplicates().tolist(),
    }


def windows(whole: Sequence[str]) -> list[list[int]]:
    """Return each text's tokens in windows without overlap, those with nothing but their two marks left out."""
    encoded = tokenizer()(list(whole), truncation=True, max_length=RECIPE.max_length, return_overflowing_tokens=True)
    return [row for row in encoded["input_ids"] if len(row) > MARKS]


def measure(model: PreTrainedModel, data: Path) -> list[Measurement]:
    """Score how often a hidden token is the first guess, and among the first five, in texts not trained on."""
    found = []
    for source, several in _by_source(data, "validation").items():
        table = np.array([_right(model, *hidden(row, number)) for number, row in enumerate(windows(several))])
        note = f"{MASKED_SHARE:.0%} of the tokens hidden, fixed seed; over {int(table[:, 2].sum()):,} tokens, by window"
        found += [
            score("top1_accuracy", source, "validation", table[:, [0, 2]], note, _share),
            score("top5_accuracy", source, "validation", table[:, [1, 2]], note, _share),
        ]
    return found


def hidden(row: Sequence[int], number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a window with a share of its tokens hidden, at least one, and labels; `number` decides which."""
    tokens = torch.tensor(row)
    places = np.arange(1, len(row) - 1)
    count = max(1, round(MASKED_SHARE * len(places)))
    chosen = np.random.default_rng([RECIPE.seed, number]).permutation(places)[:count]
    labels = torch.full_like(tokens, NOT_MASKED)
    labels[chosen] = tokens[chosen]
    tokens[chosen] = tokenizer().mask_token_id
    return tokens, labels


def _right(model: PreTrainedModel, tokens: torch.Tensor, labels: torch.Tensor) -> tuple[int, int, int]:
    """Return how many hidden tokens were the first guess, among the first five, and how many there were."""
    with torch.inference_mode():
        logits = model(input_ids=tokens[None]).logits[0]
    asked = labels != NOT_MASKED
    guessed = logits[asked].topk(5).indices == labels[asked, None]
    return int(guessed[:, 0].sum()), int(guessed.any(-1).sum()), int(asked.sum())


def _share(rows: np.ndarray) -> float:
    right, asked = rows.sum(axis=0)
    return float(right / asked)


if __name__ == "__main__":
    main(RECIPE.name)
