"""Each committed card is what its recipe and metrics.json give, whichever way the starter was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.catalogue import starter_names
from recipes import _adapter_card, _scratch_card, _scratch_run
from recipes._card import write_card
from recipes._run import recipe_module

STARTERS = Path(__file__).parents[2] / "assets" / "starters"
SHIPPED = [name.removeprefix("starter/") for name in starter_names()]


@pytest.mark.parametrize("name", SHIPPED)
def test_card_is_what_was_measured(name: str, tmp_path: Path) -> None:
    """The card writer makes the very card again from the recipe's words and the measured numbers."""
    metrics = json.loads((STARTERS / name / "metrics.json").read_text(encoding="utf-8"))
    card, way = recipe_module(name).CARD, _scratch_card if name in _scratch_run.NAMES else _adapter_card
    write_card(tmp_path, card, metrics, way.making(card, metrics))
    made = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert made == (STARTERS / name / "README.md").read_text(encoding="utf-8")
