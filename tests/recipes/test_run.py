"""A recipe over the shared base, from the command line to what a short try trains on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from datasets import Dataset

from recipes._run import making, recipe_module, shortened
from recipes._train import CHECKPOINTS, STARTERS


def test_the_command_line_names_the_folders_and_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run writes where starters are shipped; a try goes where it is told."""
    monkeypatch.setattr(sys, "argv", ["x", "--data", "data"])
    whole = making("fill-mask")
    assert (whole.places.starters, whole.places.checkpoints, whole.steps) == (STARTERS, CHECKPOINTS, 0)
    monkeypatch.setattr(sys, "argv", ["x", "--data", "d", "--steps", "4", "--starters", "s", "--checkpoints", "c"])
    attempt = making("fill-mask")
    assert (attempt.places.starters, attempt.places.checkpoints, attempt.steps) == (Path("s"), Path("c"), 4)


def test_a_try_takes_so_many_batches_once() -> None:
    """As many rows as its steps need, and one pass over them."""
    recipe = recipe_module("fill-mask").RECIPE
    rows = Dataset.from_dict({"input_ids": [[1]] * 1000})
    short, few = shortened(recipe, rows, 3)
    assert (short.epochs, len(few)) == (1, 3 * recipe.batch_size)
    assert len(shortened(recipe, rows, 10_000)[1]) == 1000
