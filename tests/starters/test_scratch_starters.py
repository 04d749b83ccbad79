"""Each committed starter trained from first weights loads with plain transformers and is what its card says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from recipes._scratch import LARGEST_FILE
from recipes._scratch_run import NAMES, load_starter, recipe_module
from recipes.stories import BLOCK

STARTERS = Path(__file__).parents[2] / "assets" / "starters"
MADE = [name for name in NAMES if (STARTERS / name / "metrics.json").exists()]
each_starter = pytest.mark.parametrize("name", MADE)


def metrics(name: str) -> dict[str, Any]:
    """Return what was measured of a starter."""
    return json.loads((STARTERS / name / "metrics.json").read_text(encoding="utf-8"))


def needs(name: str) -> None:
    """Skip, in plain words, where a starter has not been made yet."""
    if name not in MADE:
        pytest.skip(f"assets/starters/{name} is not in this checkout; make starters builds it")


def written(name: str, text: str, **settings: Any) -> str:
    """Return what a starter makes of a text, generated as its own settings say."""
    model, tokenizer = load_starter(recipe_module(name).RECIPE, STARTERS / name)
    torch.manual_seed(20)
    with torch.inference_mode():
        tokens = model.generate(**tokenizer(text, return_tensors="pt"), **settings)[0]
    return tokenizer.decode(tokens, skip_special_tokens=True)


@each_starter
def test_files_are_small_enough_to_ship(name: str) -> None:
    """No file is over 10 MB."""
    assert all(file.stat().st_size < LARGEST_FILE for file in (STARTERS / name).iterdir())


@each_starter
def test_card_states_every_measured_value(name: str) -> None:
    """Every value of metrics.json stands in the card, with its interval, and so does every sample."""
    card = (STARTERS / name / "README.md").read_text(encoding="utf-8")
    for row in metrics(name)["measurements"]:
        assert f"| {row['name']} | {row['value']} | {row['ci95'][0]} – {row['ci95'][1]} |" in card
    for sample in metrics(name)["samples"]:
        assert all(text.split("\n", maxsplit=1)[0] in card for text in sample.values())


@each_starter
def test_the_code_of_the_card_runs(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """What the card shows loads the files and prints a text."""
    monkeypatch.chdir(STARTERS.parents[1])
    card = (STARTERS / name / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n", maxsplit=1)[1].split("```", maxsplit=1)[0]
    exec(code, {})  # noqa: S102 — the card is ours
    assert capsys.readouterr().out.strip()


@each_starter
def test_the_parameters_are_those_of_the_card(name: str) -> None:
    """The recorded number of parameters and class are those of the files."""
    model, _ = load_starter(recipe_module(name).RECIPE, STARTERS / name)
    stored = load_file(STARTERS / name / "model.safetensors")
    trained = sum(stored[found].numel() for found, _ in model.named_parameters() if found in stored)
    assert trained == metrics(name)["training"]["parameters"]
    assert isinstance(model, getattr(transformers, metrics(name)["training"]["architecture"]))


def test_a_story_goes_on_from_its_beginning() -> None:
    """The beginning stays as it was given, and whole sentences follow it."""
    needs("stories")
    text = written("stories", "Once upon a time, there was a little dog named", max_new_tokens=80)
    assert text.startswith("Once upon a time, there was a little dog named")
    assert text.count(".") >= 2


def test_stories_fit_the_window_of_the_model() -> None:
    """Its configuration says how many tokens it was trained on at a time."""
    needs("stories")
    model, _ = load_starter(recipe_module("stories").RECIPE, STARTERS / "stories")
    assert model.config.max_position_embeddings == BLOCK


@pytest.mark.parametrize(
    ("english", "words"),
    [("I am happy.", {"suis"}), ("Where is the station?", {"où", "gare"}), ("She has two dogs.", {"elle", "chiens"})],
)
def test_plain_sentences_in_french(english: str, words: set[str]) -> None:
    """Words that every translation of a plain sentence has are there."""
    needs("translate-en-fr")
    french = written("translate-en-fr", english).lower()
    assert all(word in french for word in words)
