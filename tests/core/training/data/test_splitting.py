"""Two halves that share no text, drawn by a seed, with every class in both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadFile
from core.training.data.reading import Desk
from core.training.data.rows import read_splits
from core.training.settings import TrainSettings

Write = Callable[..., TrainSettings]
HERE = Desk(Path())
ROWS: list[dict[str, Any]] = [
    {"text": f"text {number % 60}", "label": "rare" if number % 20 == 0 else "usual"} for number in range(100)
]


def test_no_text_is_in_both_halves(over: Write) -> None:
    """A text that comes twice lies in one half, whatever its case and blanks."""
    rows = [*ROWS, {"text": " TEXT  7", "label": "usual"}]
    found = read_splits(over("text-classification", rows, validation_fraction=0.3), HERE)
    halves = [{" ".join(row["text"].lower().split()) for row in half} for half in (found.train, found.validation)]
    assert not halves[0] & halves[1]
    assert len(found.train) + len(found.validation) == len(rows)
    assert 25 <= len(found.validation) <= 35


def test_every_class_is_in_both_halves(over: Write) -> None:
    """Each class gives its part, the rare one at least one row; the counts are shown."""
    found = read_splits(over("text-classification", ROWS, validation_fraction=0.1), HERE)
    assert all(train > validation > 0 for train, validation in found.counts_by_label.values())


def test_the_seed_decides(over: Write) -> None:
    """The same seed draws the same rows, another one others."""
    first, again, other = (
        read_splits(over("text-classification", ROWS, seed=seed, max_samples=50), HERE) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.data_hash != other.data_hash
    assert len(first.train) + len(first.validation) == 50
    assert "50 of 100 rows are used" in str(first.notes[0])


def test_questions_about_one_text_stay_together(over: Write) -> None:
    """Held-out questions are about texts that were not trained on, unless there is only one text."""
    rows = [{"question": f"q{n}", "context": f"text {n // 4}", "answers": "text"} for n in range(20)]
    found = read_splits(over("question-answering", rows, validation_fraction=0.2), HERE)
    assert not {row["context"] for row in found.train} & {row["context"] for row in found.validation}
    single = read_splits(over("question-answering", rows[:4], validation_fraction=0.25), HERE)
    assert (len(single.train), len(single.validation)) == (3, 1)


def test_a_validation_file_is_kept_apart(over: Write, tmp_path: Path) -> None:
    """Its texts are taken out of the training rows, and labels that nobody learns are refused."""
    other = tmp_path / "validation.csv"
    other.write_text("text,label\ntext 1,usual\nnew,rare\n")
    found = read_splits(over("text-classification", ROWS, validation_file=str(other)), HERE)
    assert len(found.validation) == 2
    assert "text 1" not in {row["text"] for row in found.train}
    assert "2 training rows hold a text of the validation rows" in str(found.notes[-1])
    assert found.half_of(1) == "train"
    other.write_text("text,label\nnew,strange\n")
    with pytest.raises(BadFile, match="strange"):
        read_splits(over("text-classification", ROWS, validation_file=str(other)), HERE)


def test_without_a_part_nothing_is_held_out(over: Write) -> None:
    """A fraction of 0 trains on every row."""
    assert read_splits(over("text-classification", ROWS, validation_fraction=0), HERE).validation == ()
