"""Runs a recipe that trains from first weights: tokenizer, training, saving, measuring, publishing."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import torch
import transformers
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast, set_seed

from recipes._run import making, recipe_module
from recipes._scratch import ScratchRecipe, save_starter, train
from recipes._scratch_card import ScratchFindings, record
from recipes._train import Places

NAMES = ("stories", "translate-en-fr", "title")
TRAINING = "training.json"


def make(module: ModuleType, recipe: ScratchRecipe, places: Places) -> None:
    """Train, measure what was saved, write its card, and publish it if it is worth shipping."""
    work = places.checkpoints / recipe.name
    made = work / "starter"
    if not made.exists():
        _train_into(made, module, recipe, places)
    training = json.loads((work / TRAINING).read_text(encoding="utf-8"))
    findings = measure(module, recipe, places.data, made)
    record(made, recipe, module.CARD, findings, training)
    refusal = module.refusal(findings.measurements) if hasattr(module, "refusal") else None
    if refusal:
        print(f"Not published: {refusal} It stays in {made}.")
        return
    shutil.copytree(made, places.starters / recipe.name, dirs_exist_ok=True)
    shutil.rmtree(work)


def _train_into(made: Path, module: ModuleType, recipe: ScratchRecipe, places: Places) -> None:
    """Train and save; the folder appears when all is in it."""
    work = made.parent
    set_seed(recipe.seed)
    tokenizer = _tokenizer(work / "tokenizer", module, places.data)
    model = module.new_model(tokenizer)
    facts = train(recipe, model, module.lesson(places.data, tokenizer, model, recipe), work)
    facts = {"architecture": type(model).__name__, "settings": asdict(recipe)} | facts
    (work / TRAINING).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    unfinished = work / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    save_starter(model, tokenizer, unfinished)
    unfinished.rename(made)


def _tokenizer(folder: Path, module: ModuleType, data: Path) -> PreTrainedTokenizerFast:
    """Make the tokenizer once; a resumed run reads it again."""
    if not (folder / "tokenizer_config.json").exists():
        module.new_tokenizer(data).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def load_starter(recipe: ScratchRecipe, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a saved starter as anybody does: a plain from_pretrained of the Auto classes."""
    model = getattr(transformers, recipe.auto_class).from_pretrained(folder)
    assert model.dtype == torch.float32
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def measure(module: ModuleType, recipe: ScratchRecipe, data: Path, folder: Path) -> ScratchFindings:
    """Measure a saved starter, and print what was found."""
    model, tokenizer = load_starter(recipe, folder)
    measurements = module.measure(model, tokenizer, data)
    for row in measurements:
        print(f"{row.dataset} {row.split} {row.name} {row.value} {list(row.ci95)} n={row.n} {row.note}")
    samples = module.samples(model, tokenizer, data)
    for sample in samples:
        print(sample)
    return ScratchFindings(measurements, samples)


def measure_again(name: str, data: Path, starters: Path, *, write: bool) -> None:
    """Measure a shipped starter again, and write metrics.json and the card with what was found if asked to."""
    module, folder = recipe_module(name), starters / name
    findings = measure(module, module.RECIPE, data, folder)
    if write:
        training = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["training"]
        record(folder, module.RECIPE, module.CARD, findings, training)


def shortened(recipe: ScratchRecipe, steps: int) -> ScratchRecipe:
    """Return a recipe of so few steps that it shows in minutes whether everything fits together."""
    often = max(1, steps // 4)
    return replace(
        recipe,
        steps=steps,
        warmup_steps=min(recipe.warmup_steps, often),
        evaluate_every=min(recipe.evaluate_every, often),
        save_every=min(recipe.save_every, often),
    )


def main(name: str) -> None:
    """Make one starter from the command line."""
    options = making(name)
    transformers.utils.logging.disable_progress_bar()
    module = recipe_module(name)
    recipe = shortened(module.RECIPE, options.steps) if options.steps else module.RECIPE
    make(module, recipe, options.places)
