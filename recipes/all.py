"""Makes every starter that is missing, one after another; an interrupted run goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

from recipes import _run, _scratch_run
from recipes._train import Places

NAMES = _run.NAMES + _scratch_run.NAMES
"""Every starter that has a recipe: those over the shared base, and those from first weights."""


def make(name: str, places: Places) -> None:
    """Make one starter, whichever way it is made."""
    if name in _scratch_run.NAMES:
        module = _run.recipe_module(name)
        _scratch_run.make(module, module.RECIPE, places)
    else:
        _run.make(name, places)


def measure_again(name: str, data: Path, starters: Path, *, write: bool) -> None:
    """Measure one shipped starter again, and write metrics.json and the card with what was found if asked to."""
    way = _scratch_run if name in _scratch_run.NAMES else _run
    way.measure_again(name, data, starters, write=write)


if __name__ == "__main__":
    options = _run.arguments("Make every missing starter.")
    for missing in (name for name in NAMES if not (options.starters / name / "metrics.json").exists()):
        make(missing, Places(options.data, options.starters))
