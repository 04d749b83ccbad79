"""What the title recipe is measured against, and when it is not worth shipping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from recipes import title
from recipes._measure import Measurement
from recipes._scratch_run import Places, make, shortened

ABSTRACTS = [f"We study {number} cats in a field. Then we ask what number {number} means." for number in range(540)]
TITLES = [f"On {number} cats in a field" for number in range(540)]


def test_rouge_of_the_very_titles_is_one() -> None:
    """Each measure is 1 for the titles themselves, and 0 for texts without a common word."""
    assert [row.value for row in title.rouge(TITLES[:5], TITLES[:5], title.MODEL)] == [1, 1, 1]
    assert [row.value for row in title.rouge(["dogs"] * 5, TITLES[:5], title.MODEL)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("low", "refused"),
    [((0.31, 0.31, 0.31), None), ((0.31, 0.3, 0.2), "rouge2, rougeL not above the first sentence's.")],
)
def test_titles_must_beat_the_first_sentence_in_each_measure(low: tuple[float, ...], refused: str | None) -> None:
    """Intervals that touch the baseline's are a refusal, which names them."""
    models = [
        Measurement(name, "x", "y", 9, 0.4, (least, 0.5), title.MODEL)
        for name, least in zip(title.ROUGES, low, strict=True)
    ]
    baselines = [Measurement(name, "x", "y", 9, 0.25, (0.2, 0.3), title.LEAD) for name in title.ROUGES]
    assert title.refusal(models + baselines) == refused


def test_a_model_that_learned_nothing_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step on the way from data to card ends in a refusal, and the files stay beside the checkpoints."""
    monkeypatch.setattr(title, "SHAPE", replace(title.SHAPE, width=32, feed_forward=32, answer=8))
    folder = tmp_path / "data" / "arxiv_titles"
    folder.mkdir(parents=True)
    table = pd.DataFrame({"document": ABSTRACTS, "title": TITLES})
    table.to_parquet(folder / "train.parquet")
    table.head(10).to_parquet(folder / "validation.parquet")
    recipe = replace(shortened(title.RECIPE, 1), batch_size=4)
    make(title, recipe, Places(tmp_path / "data", tmp_path / "starters", tmp_path / "checkpoints"))
    assert not (tmp_path / "starters").exists()
    card = (tmp_path / "checkpoints" / "title" / "starter" / "README.md").read_text(encoding="utf-8")
    assert "baseline: the first sentence" in card
