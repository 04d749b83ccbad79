"""Metrics of predictions one has: pasted, sent as lists, or in a file; and what cannot be scored, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import f1_score

from core.atelier import open_atelier
from core.errors import AtelierError
from core.settings import Settings
from tabs._events import Visit
from tabs.evaluation.given import METRICS, GivenHandlers

PREDICTED, RIGHT = ["a", "b", "b", "a", "b"], ["a", "b", "a", "a", "a"]

ONE = {"predictions": "1", "references": "1"}
ANSWER = {"predictions": [{"id": "1", "prediction_text": "x"}]}


@pytest.fixture(scope="module")
def by(tmp_path_factory: pytest.TempPathFactory) -> GivenHandlers:
    """Give the panel's handlers."""
    return GivenHandlers(open_atelier(Settings(home=tmp_path_factory.mktemp("given"))))


def test_lines_and_lists_give_the_librarys_number(by: GivenHandlers) -> None:
    """Pasted or sent, f1 is scikit-learn's, with an interval and who computed it."""
    wanted = f1_score(RIGHT, PREDICTED, average="macro")
    for columns in ((PREDICTED, RIGHT), ("\n".join(PREDICTED), "\n".join(RIGHT) + "\n")):
        given = {"predictions": columns[0], "references": columns[1], "options": '{"average": "macro"}'}
        view, result = by.metric_compute(Visit(), metric="f1", **given)
        assert result["values"]["f1"] == pytest.approx(wanted)
        low, high = (result["intervals"]["f1"][end] for end in ("low", "high"))
        assert low <= wanted <= high
        assert f"{wanted:.4g}" in view
        assert "sklearn.metrics.f1_score" in view


def test_numbers_may_be_typed(by: GivenHandlers) -> None:
    """Lines of numbers are numbers: a difference of 1 is an error of 1."""
    _, result = by.metric_compute(Visit(), metric="mae", predictions="1\n2.5", references="2\n1.5")
    assert result["values"] == {"mae": 1.0}


def test_a_file_has_both_columns(by: GivenHandlers, tmp_path: Path) -> None:
    """The columns are found by their names, or named."""
    file = tmp_path / "said.csv"
    file.write_text("prediction,truth,other\na,a,b\nb,a,b\n", encoding="utf-8")
    _, result = by.metric_compute(Visit(), metric="accuracy", file=str(file))
    assert (result["values"]["accuracy"], result["n"]) == (0.5, 2)
    _, named = by.metric_compute(Visit(), metric="accuracy", file=str(file), reference_column="other")
    assert named["values"]["accuracy"] == 0.5


def test_a_matrix_and_texts_are_shown(by: GivenHandlers) -> None:
    """A matrix is a table; a text's metric has its numbers, and nothing of a text becomes markup."""
    view, _ = by.metric_compute(Visit(), metric="confusion_matrix", predictions=PREDICTED, references=RIGHT)
    assert view.count("<tr>") == 3
    view, result = by.metric_compute(
        Visit(), metric="sacrebleu", predictions=["<b>the cat</b>"], references=["the cat"]
    )
    assert result["implementation"]["library"] == "sacrebleu"
    assert "<b>" not in view


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"predictions": "a\nb", "references": "a"}, "error.metric_unequal"),
        ({"predictions": "", "references": ""}, "error.metric_empty"),
        ({"predictions": "a", "references": "a", "metric": "mse"}, "error.metric_unfit"),
        ({"predictions": "a", "references": "a", "metric": "nonsense"}, "error.metric_unknown"),
        ({"predictions": "a", "references": "a", "options": "{"}, "error.metric_options_unreadable"),
        ({"predictions": "a", "references": "a", "options": "[1]"}, "error.metric_options_unreadable"),
        ({"predictions": "a", "references": "a", "options": '{"size": 1}'}, "error.metric_option"),
        ({"predictions": "a", "references": "a", "options": {"labels": 5}, "metric": "f1"}, "error.metric_refused"),
        (
            {"predictions": "1", "references": "1", "options": {"n_bins": 10**9}, "metric": "ece"},
            "error.number_outside",
        ),
        (
            {"predictions": "a", "references": "a", "options": {"tokenize": "spm"}, "metric": "bleu"},
            "error.not_an_option",
        ),
        ({"predictions": "a", "references": "a", "options": {"tokenizer": "x"}}, "error.metric_not_offered"),
        ({"predictions": [{"a": 1}], "references": [{"a": 1}]}, "error.metric_not_labels"),
        ({**ANSWER, "references": [{"id": "1", "answers": 5}], "metric": "squad"}, "error.metric_answers"),
        ({"predictions": "[1, 2", "references": "1"}, "error.lines_unreadable"),
        ({"predictions": ["x" * 60_000], "references": ["x"], "metric": "wer"}, "error.metric_long_text"),
        ({"predictions": "a", "references": "a", "file": "x.csv"}, "error.metric_two_sources"),
    ],
)
def test_what_cannot_be_scored_is_refused(by: GivenHandlers, given: dict[str, Any], key: str) -> None:
    """Each wrong input has its sentence."""
    with pytest.raises(AtelierError) as refusal:
        by.metric_compute(Visit(), **{"metric": "accuracy", **given})
    assert refusal.value.sentence.key == key


def test_every_offered_metric_is_there(by: GivenHandlers) -> None:
    """What the list offers is known: with one row that it cannot read it refuses, but never as unknown."""
    for metric in METRICS:
        with pytest.raises(AtelierError) as refusal:
            by.metric_compute(Visit(), metric=metric, predictions="", references="")
        assert refusal.value.sentence.key != "error.metric_unknown"
