"""Makes every starter that is missing, one after another; an interrupted run goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

from recipes import _picture_run, _run, _scratch_run
from recipes._train import Places

NAMES = _run.NAMES + _scratch_run.NAMES + _picture_run.NAMES
"""Every starter that has a recipe: those over the shared base, those from first weights, and those that draw."""

WITHHELD = ("title",)
"""Made by their recipes when named, and refused by their own measurements: not worth an hour where nobody asks."""


def make(name: str, places: Places) -> None:
    """Make one starter, whichever way it is made."""
    if name in _scratch_run.NAMES:
        module = _run.recipe_module(name)
        _scratch_run.make(module, module.RECIPE, places)
    elif name in _picture_run.NAMES:
        _picture_run.make(_run.recipe_module(name), places)
    else:
        _run.make(name, places)


def measure_again(name: str, data: Path, starters: Path, *, write: bool) -> None:
    """Measure one shipped starter again, and write metrics.json and the card with what was found if asked to."""
    (way,) = (way for way in (_run, _scratch_run, _picture_run) if name in way.NAMES)
    way.measure_again(name, data, starters, write=write)


if __name__ == "__main__":
    options = _run.arguments("Make every missing starter.")
    wanted = (name for name in NAMES if name not in WITHHELD)
    for missing in (name for name in wanted if not (options.starters / name / "metrics.json").exists()):
        make(missing, Places(options.data, options.starters))
