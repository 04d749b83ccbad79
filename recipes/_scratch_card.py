"""Writes metrics.json and the card of a starter that was trained from its first weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from huggingface_hub import ModelCardData

from recipes._card import PACKAGES, Card, eval_results, score_table, source_list
from recipes._measure import Measurement
from recipes._scratch import ScratchRecipe


@dataclass(frozen=True)
class ScratchFindings:
    """What was measured of a starter as saved, and what it wrote, unselected."""

    measurements: Sequence[Measurement]
    samples: Sequence[dict[str, str]]


def write_metrics(folder: Path, recipe: ScratchRecipe, findings: ScratchFindings, training: dict) -> dict:
    """Write metrics.json and return what it holds."""
    metrics = {
        "starter": recipe.name,
        "task": recipe.task,
        "base_model": None,
        "auto_class": recipe.auto_class,
        "seed": recipe.seed,
        "command": f"python -m recipes.measure {recipe.name} --data DATA",
        "versions": {"python": sys.version.split()[0]} | {name: metadata.version(name) for name in PACKAGES},
        "measurements": [asdict(measurement) for measurement in findings.measurements],
        "samples": list(findings.samples),
        "training": training,
    }
    text = json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    return json.loads(text)


def write_card(folder: Path, card: Card, metrics: dict) -> None:
    """Write README.md; every number in it comes from `metrics`."""
    parts = [
        f"---\n{_front_matter(card, metrics)}\n---",
        (
            f"# {card.title}\n\n{card.summary} One of Atelier's starters: small models that work without a "
            f"download.\n\n{_making(metrics)}"
        ),
        f"## Use it\n\n```python\n{usage(card, metrics)}\n```",
        f"## Scores\n\n{score_table(metrics)}",
        f"## What it writes\n\nNot selected:\n\n{_samples(metrics)}",
        "## What it is bad at\n\n" + "\n".join(f"- {limit}" for limit in card.limits),
        f"## Data and licence\n\n{source_list(card)}\n\nLicence of this folder: {card.license}. {card.license_reason}",
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def usage(card: Card, metrics: dict) -> str:
    """Return the lines that load the starter with plain transformers, and try it once."""
    class_name = metrics["auto_class"]
    return "\n".join(
        [
            f"from transformers import {class_name}, AutoTokenizer",
            f'folder = "assets/starters/{metrics["starter"]}"',
            f"model, tokenizer = {class_name}.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)",
            f'inputs = tokenizer({json.dumps(card.example)}, return_tensors="pt")',
            "print(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))",
        ]
    )


def _front_matter(card: Card, metrics: dict) -> str:
    data = ModelCardData(
        language=list(card.languages),
        license=card.license,
        library_name="transformers",
        pipeline_tag=metrics["task"],
        tags=["atelier-starter"],
        datasets=[source.name for source in card.sources],
        model_name=metrics["starter"],
        eval_results=eval_results(metrics),
    )
    return data.to_yaml()


def _making(metrics: dict) -> str:
    training, settings = metrics["training"], metrics["training"]["settings"]
    command = f"python -m recipes.{metrics['starter'].replace('-', '_')} --data DATA"
    return (
        f"A {training['architecture']} of {training['parameters']:,} parameters, trained from random weights and "
        f"stored in half precision. Made by `{command}` with seed {metrics['seed']}: {training['steps']:,} steps of "
        f"{settings['batch_size']} rows, learning rate {settings['learning_rate']} falling as a cosine, weight decay "
        f"{settings['weight_decay']}, dropout {settings['dropout']}, label smoothing {settings['label_smoothing']}; "
        f"its own vocabulary of {settings['vocabulary']:,} tokens. Stored is the running average of the weights at "
        f"step {training['best_step']:,}, where held-out training data were predicted best."
    )


def _samples(metrics: dict) -> str:
    return "\n\n".join(
        "\n".join(f"> **{what}**: {_quoted(text)}" + "  " for what, text in sample.items())
        for sample in metrics["samples"]
    )


def _quoted(text: str) -> str:
    return text.replace("\n", "  \n> ")
