"""Writes metrics.json and the card of a starter that was trained from its first weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes._card import Card, Making, as_rows, command, write_card, write_metrics
from recipes._measure import Measurement
from recipes._scratch import ScratchRecipe


@dataclass(frozen=True)
class ScratchFindings:
    """What was measured of a starter as saved, and what it wrote, unselected."""

    measurements: Sequence[Measurement]
    samples: Sequence[dict[str, str]]


def record(folder: Path, recipe: ScratchRecipe, card: Card, findings: ScratchFindings, training: dict) -> None:
    """Write metrics.json and the card."""
    found = {
        "measurements": as_rows(findings.measurements),
        "samples": list(findings.samples),
        "training": training,
    }
    metrics = write_metrics(folder, recipe, {"base_model": None, "auto_class": recipe.auto_class}, found)
    write_card(folder, card, metrics, making(card, metrics))


def making(card: Card, metrics: dict) -> Making:
    """Return how a card says that its starter was trained from random weights."""
    front_matter = {"library_name": "transformers", "tags": ["atelier-starter"]}
    return Making(_told(metrics), _usage(card, metrics), front_matter)


def _usage(card: Card, metrics: dict) -> list[str]:
    """Return the lines that load the starter with plain transformers, and try it once."""
    class_name = metrics["auto_class"]
    return [
        f"from transformers import {class_name}, AutoTokenizer",
        f'folder = "assets/starters/{metrics["starter"]}"',
        f"model, tokenizer = {class_name}.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)",
        f'inputs = tokenizer({json.dumps(card.example)}, return_tensors="pt")',
        "print(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))",
    ]


def _told(metrics: dict) -> str:
    training, settings = metrics["training"], metrics["training"]["settings"]
    return (
        f"A {training['architecture']} of {training['parameters']:,} parameters, trained from random weights and "
        f"stored in half precision. Made by `{command(metrics)}` with seed {metrics['seed']}: "
        f"{training['steps']:,} steps of {settings['batch_size']} rows, learning rate "
        f"{settings['learning_rate']} falling as a cosine, weight decay "
        f"{settings['weight_decay']}, dropout {settings['dropout']}, label smoothing {settings['label_smoothing']}; "
        f"its own vocabulary of {settings['vocabulary']:,} tokens. Stored is the running average of the weights at "
        f"step {training['best_step']:,}, where held-out training data were predicted best.{_earlier_plan(training)}"
    )


def _earlier_plan(training: Mapping[str, Any]) -> str:
    """Say where the weights were begun by a longer plan: the command makes their like, not the same ones."""
    earlier = training.get("earlier_plan")
    if not earlier:
        return ""
    return (
        f" Up to about step {earlier['until_step']:,} the learning rate followed the cosine of a longer plan "
        f"({earlier['steps']:,} steps); the command as it is now makes the like of these weights, not the same ones."
    )
