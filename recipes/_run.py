"""Runs a recipe: train, save, measure what was saved, and write metrics.json and the card."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType

import torch
from datasets import Dataset

from recipes import _adapter_card
from recipes._adapter_card import Findings
from recipes._mixed import compare
from recipes._train import CHECKPOINTS, STARTERS, Places, Recipe, load_starter, train

NAMES = ("sentiment", "question-answering", "nli", "entities", "embeddings", "fill-mask")


def recipe_module(name: str) -> ModuleType:
    """Return the module that makes the starter of this name."""
    return importlib.import_module("recipes." + name.replace("-", "_"))


def make(name: str, places: Places, steps: int = 0) -> None:
    """Train a starter, measure the saved files and write its card; `steps` above 0 is a try of so many steps."""
    module, folder = recipe_module(name), places.starters / name
    folder.mkdir(parents=True, exist_ok=True)
    training = None
    if hasattr(module, "training_rows"):
        rows = module.training_rows(places.data)
        recipe, rows = shortened(module.RECIPE, rows, steps) if steps else (module.RECIPE, rows)
        prepare = getattr(module, "prepare", None)
        facts = train(recipe, rows, module.collator(), folder, prepare, places.checkpoints)
        training = {"settings": asdict(recipe)} | facts
    record(name, measure(name, places.data, places.starters), training, places.starters)
    shutil.rmtree(places.checkpoints / name, ignore_errors=True)


def shortened(recipe: Recipe, rows: Dataset, steps: int) -> tuple[Recipe, Dataset]:
    """Return a recipe and so few rows that it shows in minutes whether everything fits together."""
    return replace(recipe, epochs=1), rows.select(range(min(len(rows), steps * recipe.batch_size)))


def record(name: str, findings: Findings, training: dict | None, starters: Path = STARTERS) -> None:
    """Write metrics.json and the card."""
    module = recipe_module(name)
    _adapter_card.record(starters / name, module.RECIPE, module.CARD, findings, training)


def measure(name: str, data: Path, starters: Path = STARTERS) -> Findings:
    """Measure the saved starter of this name, and print what was found."""
    module, folder = recipe_module(name), starters / name
    model = load_starter(module.RECIPE, folder) if hasattr(module, "training_rows") else None
    measurements, mixed = module.measure(model, data), None
    if hasattr(module, "compared_scores"):
        exact = module.compared_scores(model, data)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = compare(exact, module.compared_scores(model, data))
    for row in measurements:
        print(f"{row.dataset} {row.split} {row.name} {row.value} {list(row.ci95)} n={row.n} {row.note}")
    print(f"bfloat16 autocast: {mixed}")
    return Findings(measurements, mixed)


def measure_again(name: str, data: Path, starters: Path, *, write: bool) -> None:
    """Measure a shipped starter again, and write metrics.json and the card with what was found if asked to."""
    findings = measure(name, data, starters)
    if write:
        known = json.loads((starters / name / "metrics.json").read_text(encoding="utf-8"))
        record(name, findings, known["training"], starters)


def arguments(description: str, names: Sequence[str] = ()) -> argparse.Namespace:
    """Return the command-line arguments that every recipe takes, and before them one of the names if there are any."""
    parser = argparse.ArgumentParser(description=description)
    if names:
        parser.add_argument("--write", action="store_true", help="write metrics.json and the card with what was found")
        parser.add_argument("name", choices=names, help="the starter to measure")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--starters", type=Path, default=STARTERS, help="folder that holds the starters")
    return parser.parse_args()


@dataclass(frozen=True)
class Making:
    """What the command line of a recipe asks for."""

    places: Places
    steps: int
    """0 = as many as the recipe says."""


def making(name: str) -> Making:
    """Return the command-line arguments of the recipe that makes this starter."""
    parser = argparse.ArgumentParser(description=f"Make the {name} starter; an interrupted run goes on.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--starters", type=Path, default=STARTERS, help="folder that holds the starters")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="folder that an interrupted run needs")
    parser.add_argument("--steps", type=int, default=0, help="train so many steps instead of the recipe's, for a try")
    options = parser.parse_args()
    return Making(Places(options.data, options.starters, options.checkpoints), options.steps)


def main(name: str) -> None:
    """Make one starter from the command line."""
    options = making(name)
    make(name, options.places, options.steps)
