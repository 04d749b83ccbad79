"""Which rows of an evaluation are shown, and in which order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput, UnknownName
from core.evaluation.row_choice import ORDERS, RowChoice, choose_rows
from core.training.data.prepared import LABELS, WORDS


def line(row: int, reference: str, one: str | None, other: str) -> dict[str, Any]:
    """Return a line of two classifiers; None = the first did not answer."""
    told: dict[str, Any] = {"row": row, "input": f"text {row}", "reference": reference, "expected": f'"{reference}"'}
    for model, label in (("a", one), ("b", other)):
        score = None if label is None else float(label == reference)
        sure = {} if label is None else {label: 0.75, "xy".replace(label, ""): 0.25 - row / 100}
        detail = None if label is None else json.dumps({"label": label, "scores": sure})
        parts = (label, score, "too long" if label is None else None, detail)
        names = ("prediction", "score", "problem", "detail")
        told.update({f"{model} {name}": part for name, part in zip(names, parts, strict=True)})
    return told


LINES = [line(1, "x", "x", "y"), line(2, "x", "y", "x"), line(3, "y", None, "y"), line(4, "y", "x", "y")]
MODELS = [{"name": "a", "n": 3}, {"name": "b", "n": 4}, {"name": "refused", "n": 0}]


def told(shape: str = LABELS, *, lower_is_better: bool = False) -> dict[str, Any]:
    """Return what is read of evaluation.json."""
    return {"models": MODELS, "data": {"shape": shape}, "row_score": {"lower_is_better": lower_is_better}}


def numbers(*, lower_is_better: bool = False, **wanted: Any) -> list[int]:
    """Return the numbers of the chosen rows."""
    found = choose_rows(LINES, told(lower_is_better=lower_is_better), RowChoice(**wanted))
    return [row["row"] for row in found.rows]


@pytest.mark.parametrize(
    ("order", "other_model", "rows"),
    [
        ("worst", "", [4, 2, 1, 3]),
        ("best", "", [1, 2, 4, 3]),
        ("in_order", "", [1, 2, 3, 4]),
        ("won", "b", [1]),
        ("lost", "b", [2, 4]),
    ],
)
def test_rows_come_in_the_order_that_is_asked_for(order: str, other_model: str, rows: list[int]) -> None:
    """The worst first, of wrong ones the surest, without an answer last; or those on which it is ahead or behind."""
    assert numbers(order=order, other_model=other_model) == rows
    assert order in ORDERS


def test_a_low_score_may_be_a_good_one() -> None:
    """Where lower is better the worst are the highest, and who has less wins."""
    assert numbers(lower_is_better=True) == [1, 4, 2, 3]
    assert numbers(lower_is_better=True, order="won", other_model="b") == [2, 4]


def test_a_cell_of_the_matrix_has_its_rows() -> None:
    """Of a label that should be another, those rows alone; of words, rows with such a word."""
    assert numbers(expected="x", predicted="y") == [2]
    assert numbers(expected="y") == [4]
    tagged = {"row": 7, "input": "Ada sang", "reference": "B-PER O", "expected": '["B-PER", "O"]'}
    tagged |= {"a prediction": "O O", "a score": 0.0, "a problem": None, "a detail": '["O", "O"]'}
    cell = RowChoice(expected="PER", predicted="O")
    assert choose_rows([tagged], told(WORDS), cell).total == 1
    assert choose_rows([tagged], told(WORDS), RowChoice(expected="O", predicted="PER")).total == 0


def test_only_a_page_is_given() -> None:
    """Ten thousand rows give the first fifty with their number; a page beyond the end gives the last row."""
    many = [line(row, "x", "x", "y") for row in range(1, 10_001)]
    found = choose_rows(many, told(), RowChoice(order="in_order"))
    assert (len(found.rows), found.total, found.first) == (50, 10_000, 1)
    assert choose_rows(many, told(), RowChoice(order="in_order", first=51)).rows[0]["row"] == 51
    assert len(choose_rows(LINES, told(), RowChoice(first=100_000)).rows) == 1


def test_what_cannot_be_shown_is_refused() -> None:
    """A model that was not evaluated, won against nobody, and an order there is not."""
    with pytest.raises(UnknownName) as unknown:
        numbers(model="refused")
    assert unknown.value.sentence.values["names"] == "a, b"
    with pytest.raises(InvalidInput) as alone:
        numbers(order="won", other_model="a")
    assert alone.value.sentence.key == "error.evaluate_rows_need_other"
    with pytest.raises(InvalidInput):
        RowChoice(order="random")
