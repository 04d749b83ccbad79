"""Every starter that has a recipe is made and measured by one command each."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes import _picture_run, _run, _scratch_run
from recipes._picture_run import PictureRecipe
from recipes._scratch import ScratchRecipe
from recipes.all import NAMES, WITHHELD

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_a_recipe(name: str) -> None:
    """Its module has a recipe of that name, of the kind whose list it is in, and a card with limits."""
    module = _run.recipe_module(name)
    assert module.RECIPE.name == name
    assert isinstance(module.RECIPE, ScratchRecipe) == (name in _scratch_run.NAMES)
    assert isinstance(module.RECIPE, PictureRecipe) == (name in _picture_run.NAMES)
    assert module.CARD.limits


def test_every_recipe_has_its_name() -> None:
    """A module that makes a starter is found by the commands for all of them."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (PROJECT / "recipes").glob("[a-z]*.py")}
    assert {name.replace("-", "_") for name in NAMES} == {name for name, text in texts.items() if "\nCARD = " in text}


def test_make_tells_how_long_each_starter_takes() -> None:
    """The help of `make starters` names every starter that it makes once."""
    lines = (PROJECT / "Makefile").read_text(encoding="utf-8").splitlines()
    told = " ".join(line for line in lines if " each" in line).replace('"', " ").split()
    assert [name for name in NAMES if told.count(name) != (name not in WITHHELD)] == []
