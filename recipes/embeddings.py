"""Measures the embeddings starter: the base model itself, mean-pooled and normalised."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import AutoModel, PreTrainedModel

from recipes._base import base_folder
from recipes._card import Card
from recipes._data import APACHE, CC_BY, CC_BY_3, Source, read
from recipes._measure import Measurement, batches, score
from recipes._run import main
from recipes._topics import DOMAIN_WORDS
from recipes._train import tokenizer

MAX_LENGTH = 256
HELD_OUT_EVERY = 5


@dataclass(frozen=True)
class Settings:
    """What identifies the starter; there is nothing to train."""

    name: str = "embeddings"
    task: str = "feature-extraction"
    seed: int = 13


RECIPE = Settings()
CARD = Card(
    title="Embeddings",
    summary="Turns a sentence or a short paragraph into a vector, so that similar meanings lie close together.",
    sources=(
        Source("clinc150", "Larson et al. 2019", CC_BY_3, "measured only"),
        Source("banking77", "Casanueva et al. 2020", CC_BY, "measured only"),
        Source("scitldr", "Cachola et al. 2020", APACHE, "measured only"),
    ),
    license="apache-2.0",
    license_reason="This folder holds no weights.",
    limits=(
        (
            "Vectors say that two texts are about the same thing, not that they agree: a sentence and its "
            "negation lie close together."
        ),
        "English; other languages are matched poorly.",
        "Text beyond a few paragraphs is cut off, and a long text has one vector for all its topics.",
        (
            "As a summary the most central sentence beats the first one on scientific abstracts, but it is still a "
            "sentence of the text and may point back to one that is left out."
        ),
        "Names of topics that are vague alone (“home”, “meta”) are matched badly; the nli starter names topics better.",
    ),
    example=("How do I reset my password?", "I cannot log in any more."),
)


def measure(_: None, data: Path) -> list[Measurement]:
    """Score nearest-centroid classification, topics by name, and summaries by sentence centrality."""
    clinc, clinc_test = (read(data, "clinc150", split).query("domain != 'oos'") for split in ("train", "test"))
    vectors, test_vectors = embed(clinc.text.tolist()), embed(clinc_test.text.tolist())
    names = {name: words[0] for name, words in DOMAIN_WORDS.items()}
    similarity = test_vectors @ embed(list(names.values())).T
    return [
        score(
            "nearest_centroid_accuracy",
            "clinc150",
            "test",
            nearest_centroid(vectors, clinc.intent, test_vectors) == clinc_test.intent,
            "150 intents, out-of-scope rows left out",
        ),
        score(
            "nearest_centroid_accuracy",
            "clinc150",
            "test",
            nearest_centroid(vectors, clinc.domain, test_vectors) == clinc_test.domain,
            "10 domains",
        ),
        score(
            "zero_shot_top1",
            "clinc150",
            "test",
            np.array(list(names))[similarity.argmax(1)] == clinc_test.domain,
            "10 domains by similarity to their names: " + ", ".join(names.values()),
        ),
        _banking(data),
        *_summaries(read(data, "scitldr", "validation")),
    ]


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return one mean-pooled vector of length 1 per text."""
    model = _model()
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for batch in batches([len(text) for text in texts]):
        inputs = tokenizer()(
            [texts[i] for i in batch], padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        )
        mask = inputs["attention_mask"].unsqueeze(-1)
        with torch.inference_mode():
            pooled = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
        vectors[batch] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
    return vectors


@cache
def _model() -> PreTrainedModel:
    return AutoModel.from_pretrained(base_folder(), dtype=torch.float32).eval()


def nearest_centroid(vectors: np.ndarray, labels: pd.Series, queries: np.ndarray) -> np.ndarray:
    """Return for each query the label whose mean vector is most similar."""
    labels = np.asarray(labels)
    names = np.unique(labels)
    centroids = np.stack([vectors[labels == name].mean(0) for name in names])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    return names[(queries @ centroids.T).argmax(1)]


def _banking(data: Path) -> Measurement:
    table = read(data, "banking77", "train")
    held_out = (table.groupby("intent").cumcount() % HELD_OUT_EVERY == 0).to_numpy()
    vectors = embed(table.text.tolist())
    found = nearest_centroid(vectors[~held_out], table.intent[~held_out], vectors[held_out])
    note = f"77 intents, every {HELD_OUT_EVERY}th row of an intent held out"
    return score("nearest_centroid_accuracy", "banking77", "train", found == table.intent[held_out], note)


def _summaries(table: pd.DataFrame) -> list[Measurement]:
    texts = [sentences(document) for document in table.document]
    ways = {"most central sentence": central(texts), "first sentence": [parts[0] for parts in texts]}
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    results = []
    for way, summaries in ways.items():
        scores = [scorer.score_multi(list(gold), text) for gold, text in zip(table.summaries, summaries, strict=True)]
        results += [
            score(name, "scitldr", "validation", [row[name].fmeasure for row in scores], f"{way}, best target")
            for name in ("rouge1", "rougeL")
        ]
    return results


def sentences(text: str) -> list[str]:
    """Split a text into sentences, at full stops followed by a capital."""
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text.strip()) if part]


def central(texts: list[list[str]]) -> list[str]:
    """Return from each list of sentences the one most similar to all others on average."""
    vectors = np.split(embed([part for parts in texts for part in parts]), np.cumsum([len(p) for p in texts])[:-1])
    return [parts[int((rows @ rows.T).sum(1).argmax())] for parts, rows in zip(texts, vectors, strict=True)]


if __name__ == "__main__":
    main(RECIPE.name)
