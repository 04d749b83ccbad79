"""Each committed starter reaches what it was made for, as its metrics.json was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

STARTERS = Path(__file__).parents[2] / "assets" / "starters"
TARGETS = (
    ("entities", "f1", "ner_more test", "strict spans", 0.62),
    ("question-answering", "f1", "squad validation", "official", 0.66),
    ("question-answering", "exact_match", "squad validation", "official", 0.53),
    ("nli", "accuracy", "nli validation", "", 0.70),
    ("nli", "zero_shot_top1", "clinc150 test", "10 domains", 0.75),
    ("sentiment", "accuracy", "sentiment_polarity test", "", 0.84),
    ("sentiment", "accuracy", "sentiment_polarity test", "detokenised", 0.84),
    ("fill-mask", "top5_accuracy", "tinystories validation", "15% of the tokens hidden", 0.80),
    ("translate-en-fr", "sacrebleu", "translation_en_fr validation", "beam search of 4; nrefs:1", 33),
    ("translate-en-fr", "chrf", "translation_en_fr validation", "beam search of 4; nrefs:1", 52),
)
"""Starter, measure, data, how the note begins (nothing: there is none), and the least value that is good enough."""
BOUNDS = (("stories", "bits_per_byte", "tinystories validation", "150 stories", 1.05),)
"""The same where less is better, and the value is the largest that is good enough."""


@pytest.mark.parametrize(("name", "measure", "data", "note", "least"), TARGETS)
def test_a_starter_reaches_its_target(name: str, measure: str, data: str, note: str, least: float) -> None:
    """The recorded score on held-out data is at least the target; exactly one measurement answers for it."""
    assert measured(name, measure, data, note) >= least


@pytest.mark.parametrize(("name", "measure", "data", "note", "most"), BOUNDS)
def test_a_starter_stays_below_its_bound(name: str, measure: str, data: str, note: str, most: float) -> None:
    """Where less is better, the recorded score is at most the bound."""
    assert measured(name, measure, data, note) <= most


def measured(name: str, measure: str, data: str, note: str) -> float:
    """Return the one measurement that is asked for."""
    metrics = json.loads((STARTERS / name / "metrics.json").read_text(encoding="utf-8"))
    (found,) = (row for row in metrics["measurements"] if is_asked_for(row, measure, data, note))
    return float(found["value"])


def is_asked_for(row: dict[str, Any], measure: str, data: str, note: str) -> bool:
    """Tell whether a measurement is the one of a target."""
    return (
        row["name"] == measure
        and f"{row['dataset']} {row['split']}" == data
        and (row["note"].startswith(note) if note else not row["note"])
    )
