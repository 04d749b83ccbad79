"""Writes a starter's metrics.json and, from it, the card that a Hub page shows, however the starter was made."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from recipes._data import Source
from recipes._measure import Measurement
from recipes._scratch import ScratchRecipe
from recipes._train import Recipe

PACKAGES = ("torch", "transformers", "diffusers", "peft", "datasets", "tokenizers", "safetensors", "numpy")


@dataclass(frozen=True)
class Card:
    """What a card says that no measurement can: purpose, sources, licence, limits, an example input."""

    title: str
    summary: str
    sources: tuple[Source, ...]
    license: str
    license_reason: str
    limits: tuple[str, ...]
    example: str | tuple[str, str]
    languages: tuple[str, ...] = ("en",)


@dataclass(frozen=True)
class Making:
    """The parts of a card that depend on how its starter was made."""

    told: str
    """How it was made, in words."""
    usage: Sequence[str]
    """Lines of Python that load it with the plain libraries, and try it once."""
    front_matter: Mapping[str, Any]
    """What a Hub page reads beside what all cards say."""
    licence: str = ""
    """What is said of licences beside the folder's own."""
    shown: str = ""
    """A section of its own, where a starter has more to show than texts."""


def write_metrics(
    folder: Path, recipe: Recipe | ScratchRecipe, origin: Mapping[str, Any], found: Mapping[str, Any]
) -> dict:
    """Write metrics.json, with what the starter was made from and what was found of it, and return what it holds."""
    metrics = {
        "starter": recipe.name,
        "task": recipe.task,
        **origin,
        "seed": recipe.seed,
        "command": f"python -m recipes.measure {recipe.name} --data DATA",
        "versions": {"python": sys.version.split()[0]} | {name: metadata.version(name) for name in PACKAGES},
        **found,
    }
    text = json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    return json.loads(text)


def as_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Return measurements as metrics.json holds them."""
    return [asdict(measurement) for measurement in measurements]


def command(metrics: Mapping[str, Any]) -> str:
    """Return the command that makes the starter."""
    return f"python -m recipes.{metrics['starter'].replace('-', '_')} --data DATA"


def write_card(folder: Path, card: Card, metrics: dict, making: Making) -> None:
    """Write README.md; every number in it comes from `metrics`."""
    usage = "\n".join(making.usage)
    licence = f"Licence of this folder: {card.license}. {card.license_reason} {making.licence}".rstrip()
    parts = [
        f"---\n{_front_matter(card, metrics, making)}\n---",
        (
            f"# {card.title}\n\n{card.summary} One of Atelier's starters: small models that work without a "
            f"download.\n\n{making.told}"
        ),
        f"## Use it\n\n```python\n{usage}\n```",
        f"## Scores\n\n{_score_table(metrics)}",
        *_samples(metrics),
        *([making.shown] if making.shown else []),
        "## What it is bad at\n\n" + "\n".join(f"- {limit}" for limit in card.limits),
        f"## Data and licence\n\n{_source_list(card)}\n\n{licence}",
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _front_matter(card: Card, metrics: dict, making: Making) -> str:
    data = ModelCardData(
        language=card.languages[0] if len(card.languages) == 1 else list(card.languages),
        license=card.license,
        pipeline_tag=metrics["task"],
        datasets=[source.name for source in card.sources],
        model_name=metrics["starter"],
        eval_results=_eval_results(metrics),
        **making.front_matter,
    )
    return data.to_yaml()


def _eval_results(metrics: dict) -> list[EvalResult]:
    """Return the measurements as the Hub reads them from a card's front matter."""
    return [
        EvalResult(
            task_type=metrics["task"],
            dataset_type=row["dataset"],
            dataset_name=row["dataset"],
            dataset_split=row["split"],
            metric_type=row["name"],
            metric_name=f"{row['name']} ({row['note']})" if row["note"] else row["name"],
            metric_value=row["value"],
        )
        for row in metrics["measurements"]
    ]


def _score_table(metrics: dict) -> str:
    """Return the card's table of scores."""
    rows = [
        f"| {row['dataset']} {row['split']} | {row['n']:,} | {row['name']} | {row['value']} "
        f"| {row['ci95'][0]} – {row['ci95'][1]} | {row['note'].replace('|', '&#124;')} |"
        for row in metrics["measurements"]
    ]
    return (
        "| data | rows | measure | value | 95 % interval | |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + _mixed(metrics)
        + "\n\nIntervals are bootstrap intervals over the rows. Measured in float32 on the files as they load; "
        f"`{metrics['command']}` repeats it."
    )


def _mixed(metrics: dict) -> str:
    if "bf16" not in metrics:
        return ""
    found = metrics["bf16"]
    use = "so a whole table may be computed that way" if metrics["bf16_agrees"] else "so it is always used in float32"
    return (
        f"\n\nUnder bfloat16 autocast {found['labels_equal']:.2%} of {found['n']:,} labels stay the same and no score "
        f"moves by more than {found['scores_apart']}; {use}."
    )


def _source_list(card: Card) -> str:
    """Return the card's list of data sets, credited."""
    return "\n".join(
        f"- `{source.name}`: {source.attribution}; {source.licence}. Used: {source.use}." for source in card.sources
    )


def _samples(metrics: dict) -> list[str]:
    if "samples" not in metrics:
        return []
    shown = (
        "\n".join(f"> **{what}**: {_quoted(text)}" + "  " for what, text in sample.items())
        for sample in metrics["samples"]
    )
    return ["## What it writes\n\nNot selected:\n\n" + "\n\n".join(shown)]


def _quoted(text: str) -> str:
    return text.replace("\n", "  \n> ")
