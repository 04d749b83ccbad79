"""Makes the entities starter: marks the people, places and organisations in a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from seqeval.scheme import IOB2, Entities
from transformers import BatchEncoding, DataCollatorForTokenClassification, PreTrainedModel

from recipes._card import Card
from recipes._data import CC_BY_SA, Source, read
from recipes._measure import Measurement, batches, micro_f1, score
from recipes._run import main
from recipes._train import Recipe, tokenizer

IGNORED = -100

RECIPE = Recipe(
    name="entities",
    task="token-classification",
    head=("classifier",),
    labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"),
    epochs=2.5,
    learning_rate=1e-3,
    batch_size=64,
    max_length=192,
)
CARD = Card(
    title="Entities",
    summary="Marks the names of people (PER), places (LOC) and organisations (ORG) in an English text.",
    sources=(
        Source(
            "ner_more",
            "WikiGold (Balasuriya et al. 2009), Broad Twitter Corpus (Derczynski et al. "
            "2016), Universal NER (Mayhew et al. 2024), CrossNER (Liu et al. 2021) and WNUT-17 "
            "(Derczynski et al. 2017), merged to three types",
            CC_BY_SA,
            "the merged training part",
        ),
    ),
    license="cc-by-sa-4.0",
    license_reason="The Universal NER part is CC BY-SA 4.0, whose share-alike the weights keep.",
    limits=(
        (
            "The base model reads lower-cased text, so capital letters give it no hint: a name that is "
            "also a common word is easily missed, and a common word taken for a name."
        ),
        (
            "Organisations and places are confused when the words allow both: in “visited BMW in Munich” both come "
            "out as places, and a team that is called by its city is a place."
        ),
        "Long names of organisations are often cut short, and “Will Smith” comes out as two people.",
        "Products, works and events have no type of their own and are left out.",
        "Names in tweets are the hardest part: user names and hashtags are annotated unevenly.",
    ),
    example="Marie Curie moved to Paris and worked at the Sorbonne.",
)


def training_rows(data: Path) -> Dataset:
    """Return tokenised sentences; only the first piece of each word carries its label."""
    table = read(data, "ner_more", "merged_train")
    encoded = _encode(table)
    number = {label: i for i, label in enumerate(RECIPE.labels)}
    labels = [
        [number[tags[word]] if first else IGNORED for word, first in _first_pieces(encoded, row)]
        for row, tags in enumerate(table.ner_tags)
    ]
    return Dataset.from_dict({"input_ids": encoded["input_ids"], "labels": labels})


def collator() -> DataCollatorForTokenClassification:
    """Return the collator that pads tokens and labels to the longest sentence of a batch."""
    return DataCollatorForTokenClassification(tokenizer())


def _encode(table: pd.DataFrame) -> BatchEncoding:
    words = [list(tokens) for tokens in table.tokens]
    return tokenizer()(words, is_split_into_words=True, truncation=True, max_length=RECIPE.max_length)


def _first_pieces(encoded: BatchEncoding, row: int) -> list[tuple[int | None, bool]]:
    """Return for each piece the number of its word and whether it is that word's first piece."""
    words = encoded.word_ids(row)
    return [
        (word, word is not None and word != before) for before, word in zip([None, *words[:-1]], words, strict=True)
    ]


def measure(model: PreTrainedModel, data: Path) -> list[Measurement]:
    """Score strict entity F1 (IOB2, exact span and type) on the merged test part and on its sources."""
    table = read(data, "ner_more", "merged_test")
    counts = np.array([_counts(*pair) for pair in zip(table.ner_tags, predict(model, table), strict=True)])
    note = "strict spans and types, micro average"
    parts = [
        score(
            "f1", "ner_more", "test", counts[(table.source == source).to_numpy()], f"{source} sentences only", micro_f1
        )
        for source in sorted(table.source.unique())
    ]
    return [score("f1", "ner_more", "test", counts, note, micro_f1), *parts]


def predict(model: PreTrainedModel, table: pd.DataFrame) -> list[list[str]]:
    """Return the predicted tag of each word, taken from the word's first piece."""
    encoded = _encode(table)
    predicted = [["O"] * len(tokens) for tokens in table.tokens]
    for batch in batches([len(ids) for ids in encoded["input_ids"]]):
        features = {key: [encoded[key][i] for i in batch] for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            best = model(**tokenizer().pad(features, return_tensors="pt")).logits.argmax(-1)
        for row, i in enumerate(batch):
            for piece, (word, first) in enumerate(_first_pieces(encoded, i)):
                if first:
                    predicted[i][word] = RECIPE.labels[best[row, piece]]
    return predicted


def _counts(expected: list[str], predicted: list[str]) -> tuple[int, int, int]:
    gold, found = _spans(expected), _spans(predicted)
    return len(gold & found), len(found), len(gold)


def _spans(tags: list[str]) -> set[tuple]:
    return {entity.to_tuple()[1:] for entity in Entities([list(tags)], IOB2).entities[0]}


if __name__ == "__main__":
    main(RECIPE.name)
