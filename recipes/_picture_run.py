"""What the recipes of picture starters share: their names, their command line, publishing, measuring again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from recipes._run import making, recipe_module
from recipes._scratch import LARGEST_FILE
from recipes._train import Places

NAMES = ("emoji", "emoji-lora", "emoji-edges")
TRAINING = "training.json"


@dataclass(frozen=True)
class PictureRecipe:
    """What a card and metrics.json need of a picture starter's recipe; its module holds the rest."""

    name: str
    task: str
    seed: int = 13


def make(module: ModuleType, places: Places, steps: int = 0) -> None:
    """Train (at most `steps` steps of each part, unless 0), measure what was saved, and publish it."""
    work = places.checkpoints / module.RECIPE.name
    made = work / "starter"
    if not made.exists():
        _appears_whole(made, lambda folder: _train_into(folder, module, places, steps))
    training = json.loads((work / TRAINING).read_text(encoding="utf-8"))
    module.record(made, module.measure(made, places, work), training)
    refusal = module.refusal(json.loads((made / "metrics.json").read_text(encoding="utf-8"))["measurements"])
    if refusal:
        print(f"Not published: {refusal} It stays in {made}.")
        return
    shutil.copytree(made, places.starters / module.RECIPE.name, dirs_exist_ok=True)


def _train_into(folder: Path, module: ModuleType, places: Places, steps: int) -> None:
    facts = module.train_into(folder, places, steps)
    for file in folder.rglob("*.*"):
        file.chmod(0o644)
        assert file.stat().st_size < LARGEST_FILE, f"{file.name} is too large to ship"
    (folder.parent / TRAINING).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _appears_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Let a folder appear when all is in it."""
    unfinished = folder.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write(unfinished)
    unfinished.rename(folder)


def measure_again(name: str, data: Path, starters: Path, *, write: bool) -> None:
    """Measure a shipped starter again, and write metrics.json and the card with what was found if asked to."""
    module, folder = recipe_module(name), starters / name
    places = Places(data, starters)
    findings = module.measure(folder, places, places.checkpoints / name)
    if write:
        training = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["training"]
        module.record(folder, findings, training)


def main(name: str) -> None:
    """Make one starter from the command line."""
    options = making(name)
    make(recipe_module(name), options.places, options.steps)
