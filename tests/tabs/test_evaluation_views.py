"""What an evaluation's pieces look like: nothing of a text becomes markup, and ten thousand rows stay one page."""

from __future__ import annotations

import json
from typing import Any

from core.evaluation.row_choice import RowChoice, choose_rows
from core.training.data.prepared import PLAIN
from tabs._differences import differences
from tabs._events import Visit
from tabs.evaluation._details_view import show_details
from tabs.evaluation._rows_view import show_rows

EVIL = "<script>alert(1)</script>"


def told(shape: str = "labels", **charts: Any) -> dict[str, Any]:
    """Return what is read of evaluation.json."""
    return {
        "data": {"shape": shape},
        "row_score": {"name": "right", "lower_is_better": False, "binary": True},
        "models": [{"name": "m", "n": 1, "charts": charts}],
    }


def line(row: int, reference: str, prediction: str | None, detail: str | None) -> dict[str, Any]:
    """Return a line of rows.parquet."""
    problem = None if prediction else EVIL
    told = {"row": row, "input": f"{EVIL} {row}", "reference": reference, "expected": json.dumps(reference)}
    score = 0.0 if prediction else None
    return told | {"m prediction": prediction, "m score": score, "m problem": problem, "m detail": detail}


def test_differences_are_marked_and_escaped() -> None:
    """What is written too much is inserted, what is missing deleted; all of it is text."""
    assert differences("the cat sat", "the dog sat") == "the <del>cat</del><ins>dog</ins> sat"
    assert differences("same", "same") == "same"
    drawn = differences("<b>", EVIL)
    assert "<script" not in drawn
    assert "<b>" not in drawn
    assert differences("", "x " * 1_000).endswith("…")


def test_a_large_result_shows_its_first_page() -> None:
    """Of ten thousand rows fifty are drawn, with the way to the next."""
    detail = json.dumps({"label": EVIL, "scores": {EVIL: 0.9}})
    lines = [line(row, "good", EVIL, detail) for row in range(1, 10_001)]
    wanted = RowChoice()
    drawn = show_rows(choose_rows(lines, told(), wanted), told(), wanted, Visit())
    assert drawn.count("<tr>") == 51
    assert len(drawn) < 30_000
    assert 'data-first="51"' in drawn
    assert "<script" not in drawn


def test_a_row_without_an_answer_says_why() -> None:
    """The problem stands where the answer would."""
    wanted = RowChoice()
    drawn = show_rows(choose_rows([line(1, "good", None, None)], told(), wanted), told(), wanted, Visit())
    assert 'class="problem"' in drawn
    assert "<script" not in drawn


def test_running_text_has_scores_alone() -> None:
    """A text that was only expected has no answer beside it."""
    wanted = RowChoice()
    lines = [{**line(1, "x", "", '{"loss": 1.0}'), "m score": 1.5, "m problem": None}]
    drawn = show_rows(choose_rows(lines, told(PLAIN), wanted), told(PLAIN), wanted, Visit())
    assert "1.5" in drawn
    assert "<ins>" not in drawn


def test_labels_of_a_matrix_are_escaped() -> None:
    """A label from a file is text in the head, in the cell and in what a click tells."""
    matrix = {"labels": [EVIL, 'a"b'], "matrix": [[3, 1], [0, 2]]}
    per_class = [{"label": EVIL, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 4, "predicted": 3}]
    drawn = show_details(told(confusion=matrix, per_class=per_class, lengths=[]), "m", Visit())
    assert "<script" not in drawn
    assert 'data-predicted="a&quot;b"' in drawn
    assert drawn.count("<button") == 3
    assert show_details(told(), "nobody", Visit()) == ""


def test_too_many_classes_are_said() -> None:
    """A matrix that was not kept is a sentence."""
    assert "too many classes" in show_details(told(confusion=None, lengths=[]), "m", Visit())
