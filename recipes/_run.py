"""Runs a recipe: train, save, measure what was saved, and write metrics.json and the card."""

from __future__ import annotations

import argparse
import importlib
import shutil
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from recipes._card import write_card, write_metrics
from recipes._measure import Measurement
from recipes._train import CHECKPOINTS, STARTERS, load_starter, train

NAMES = ("sentiment", "question-answering", "nli", "entities", "embeddings")


def recipe_module(name: str) -> ModuleType:
    """Return the module that makes the starter of this name."""
    return importlib.import_module("recipes." + name.replace("-", "_"))


def make(name: str, data: Path, starters: Path = STARTERS) -> None:
    """Train a starter, measure the saved files and write its card."""
    module, folder = recipe_module(name), starters / name
    folder.mkdir(parents=True, exist_ok=True)
    recipe = module.RECIPE
    training = None
    if hasattr(module, "training_rows"):
        facts = train(recipe, module.training_rows(data), module.collator(), folder)
        training = {"settings": asdict(recipe)} | facts
    measurements = measure(name, data, starters)
    metrics = write_metrics(folder, name, recipe.task, recipe.seed, measurements, training)
    write_card(folder, module.CARD, metrics)
    shutil.rmtree(CHECKPOINTS / name, ignore_errors=True)


def measure(name: str, data: Path, starters: Path = STARTERS) -> list[Measurement]:
    """Measure the saved starter of this name."""
    module, folder = recipe_module(name), starters / name
    trained = hasattr(module, "training_rows")
    measurements = module.measure(load_starter(module.RECIPE, folder) if trained else None, data)
    for row in measurements:
        print(f"{row.dataset} {row.split} {row.name} {row.value} {list(row.ci95)} n={row.n} {row.note}")
    return measurements


def arguments(description: str, *, named: bool = False) -> argparse.Namespace:
    """Return the command-line arguments that every recipe takes."""
    parser = argparse.ArgumentParser(description=description)
    if named:
        parser.add_argument("name", choices=NAMES, help="the starter to measure")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--starters", type=Path, default=STARTERS, help="folder that holds the starters")
    return parser.parse_args()


def main(name: str) -> None:
    """Make one starter from the command line."""
    options = arguments(f"Make the {name} starter.")
    make(name, options.data, options.starters)
