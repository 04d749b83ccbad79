"""Metrics with the shipped models, beside the libraries that made them known."""

from __future__ import annotations

import pytest

from core.evaluation import load
from core.models.registry import Registry

PREDICTIONS = ["the cat sat on the mat", "It is a guide to action", "general kenobi"]
REFERENCES = [
    ["a cat was sitting on a mat", "dogs run"],
    ["It is a guide for acting", "x y"],
    ["general kenobi", "hello"],
]


def test_bertscore_is_that_of_bert_score(registry: Registry) -> None:
    """bert_score 0.3.13 gives these numbers for the same weights (all-MiniLM-L6-v2, layer 6, no idf)."""
    found = load("bertscore", registry=registry).compute(predictions=PREDICTIONS, references=REFERENCES)
    assert found["precision"] == pytest.approx([0.9021288, 0.7719392, 1.0], abs=1e-6)
    assert found["recall"] == pytest.approx([0.8811014, 0.7719392, 1.0], abs=1e-6)
    assert found["f1"] == pytest.approx([0.8914911, 0.7719392, 1.0], abs=1e-6)


def test_bertscore_by_rarity_is_that_of_bert_score(registry: Registry) -> None:
    """bert_score 0.3.13 gives these numbers for layer 4 with idf over the first references."""
    first = [several[0] for several in REFERENCES]
    given = {"predictions": PREDICTIONS, "references": first, "idf": True, "num_layers": 4}
    found = load("bertscore", registry=registry).compute(**given)
    assert found["precision"] == pytest.approx([0.8255480, 0.8002204, 1.0], abs=1e-6)
    assert found["recall"] == pytest.approx([0.8352488, 0.8528155, 1.0], abs=1e-6)
    assert found["f1"] == pytest.approx([0.8303701, 0.8256812, 1.0], abs=1e-6)


def test_stories_expect_a_story(registry: Registry) -> None:
    """The stories starter is less surprised by a story than by the same words in disorder."""
    texts = [
        "Once upon a time, there was a little girl named Lily.",
        "Lily girl little, a named there was. time a upon Once",
    ]
    found = load("perplexity", registry=registry).compute(predictions=texts)
    assert found["perplexities"][0] * 5 < found["perplexities"][1]
