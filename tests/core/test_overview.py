"""The footer's facts and the state of the memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core import catalogue as catalogue_module
from core.atelier import Atelier, open_atelier
from core.overview import describe_memory, memory_state, overview
from core.settings import Mode, Settings
from tests.fakes.models import tiny_bert


@pytest.fixture
def atelier(atelier_home: Path) -> Atelier:
    """Give an instance."""
    return open_atelier(Settings(home=atelier_home))


def test_says_where_a_starter_would_run(atelier: Atelier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Device, dtype and mode come with their reasons; nothing is loaded for it."""
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / "metrics.json").write_text("{}")
    monkeypatch.setattr(catalogue_module, "STARTERS_FOLDER", tmp_path)
    found = overview(atelier)
    assert (found.device.partition(":")[0] in {"cpu", "cuda", "mps", "xpu"}, found.mode) == (True, "local")
    assert found.dtype in {"float32", "bfloat16", "float16"}
    assert len(found.reasons) > 1
    assert all(map(str, found.reasons))
    assert atelier.registry.ledger() == []


@pytest.mark.parametrize("mode", list(Mode))
def test_a_starter_that_is_missing_is_said_and_breaks_nothing(
    atelier: Atelier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    """Without the starter, the footer says so in every mode."""
    monkeypatch.setattr(catalogue_module, "STARTERS_FOLDER", tmp_path)
    there = replace(atelier, settings=replace(atelier.settings, mode=mode, public=True))
    found = overview(there)
    assert (found.device, found.mode) == ("–", mode.value)
    assert "no starter called" in str(found.reasons[0])


def test_the_memory_names_what_models_hold(atelier: Atelier, tmp_path: Path) -> None:
    """Models' bytes are those of the ledger; the sentence has free, total and held."""
    assert memory_state(atelier).models_bytes == 0
    registry = atelier.registry
    with registry.borrow(registry.resolve(str(tiny_bert(tmp_path / "tiny")), "text-classification")) as model:
        state = memory_state(atelier)
        assert state.models_bytes == model.tensor_bytes > 0
    assert 0 < state.free_bytes <= state.total_bytes
    assert state.device in str(describe_memory(state))
