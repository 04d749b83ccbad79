"""Labels against labels; the expected numbers are those of evaluate 0.4's metric cards, unless another is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from core.errors import InvalidInput
from core.evaluation import load

SIX = {"references": [0, 1, 2, 0, 1, 2], "predictions": [0, 1, 1, 2, 1, 0]}
FIVE = {"references": [0, 1, 0, 1, 0], "predictions": [0, 0, 1, 1, 0]}
CLASSES = {"references": [0, 1, 2, 0, 1, 2], "predictions": [0, 2, 1, 0, 0, 1]}
WEIGHTS = [0.9, 0.5, 3.9, 1.2, 0.3]
MATTHEWS = {"references": [1, 3, 2, 0, 3, 2], "predictions": [1, 2, 2, 0, 3, 3]}


def keys(name: str, **given: Any) -> list[str]:
    """Return the keys of the notes beside a score."""
    return [note.key for note in load(name).compute(**given).notes]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 0.5), ({"normalize": False}, 3.0), ({"sample_weight": [0.5, 2, 0.7, 0.5, 9, 0.4]}, 0.8778625954198473)],
)
def test_accuracy(options: dict[str, Any], expected: float) -> None:
    """The three examples of the card of accuracy."""
    assert load("accuracy").compute(**SIX, **options) == {"accuracy": pytest.approx(expected, abs=1e-6)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (FIVE, 0.5),
        ({**FIVE, "pos_label": 0}, 2 / 3),
        ({**FIVE, "sample_weight": WEIGHTS}, 0.35294117647058826),  # 0.35 on the card; 2·1.2 / (2·1.2 + 3.9 + 0.5)
        ({**CLASSES, "average": "macro"}, 4 / 15),
        ({**CLASSES, "average": "micro"}, 1 / 3),
        ({**CLASSES, "average": "weighted"}, 4 / 15),
    ],
)
def test_f1(given: dict[str, Any], expected: float) -> None:
    """The examples of the card of f1."""
    assert load("f1").compute(**given)["f1"] == pytest.approx(expected, abs=1e-6)


def test_f1_of_each_class_is_an_array() -> None:
    """average=None gives array([0.8, 0, 0]), as on the card."""
    found = load("f1").compute(**CLASSES, average=None)["f1"]
    assert isinstance(found, np.ndarray)
    assert found == pytest.approx([0.8, 0, 0], abs=1e-6)


def test_f1_of_several_labels_a_row() -> None:
    """The example "multilabel" of the card: 0.67."""
    given = {"predictions": [[0, 1, 1], [1, 1, 0]], "references": [[0, 1, 1], [0, 1, 0]]}
    scores = load("f1", "multilabel").compute(**given, average="macro")
    assert scores["f1"] == pytest.approx(2 / 3, abs=1e-6)
    assert [note.values["labels"] for note in scores.notes] == ["0"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (FIVE, 0.5),
        ({**FIVE, "pos_label": 0}, 2 / 3),
        ({**FIVE, "sample_weight": WEIGHTS}, 0.23529411764705882),
        ({**CLASSES, "average": "macro"}, 0.2222222222222222),
        ({**CLASSES, "average": "micro"}, 0.3333333333333333),
        ({**CLASSES, "average": "weighted"}, 0.2222222222222222),
    ],
)
def test_precision(given: dict[str, Any], expected: float) -> None:
    """The examples of the card of precision."""
    assert load("precision").compute(**given)["precision"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 2 / 3), ({"pos_label": 0}, 0.5), ({"sample_weight": [0.9, 0.2, 0.9, 0.3, 0.8]}, 0.55)],
)
def test_recall(options: dict[str, Any], expected: float) -> None:
    """The first three examples of the card of recall."""
    given = {"references": [0, 0, 1, 1, 1], "predictions": [0, 1, 0, 1, 1]}
    assert load("recall").compute(**given, **options)["recall"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("weights", "expected"), [(None, 0.54), ([0.5, 3, 1, 1, 1, 2], 0.1), ([0.5, 1, 0, 0, 0, 1], -0.25)]
)
def test_matthews_correlation(weights: list[float] | None, expected: float) -> None:
    """The three examples of the card of matthews_correlation, which rounds to two places."""
    found = load("matthews_correlation").compute(**MATTHEWS, sample_weight=weights)["matthews_correlation"]
    assert round(found, 2) == expected


def test_matthews_correlation_to_the_last_place() -> None:
    """scikit-learn's own docstring: y_true [+1, +1, +1, -1], y_pred [+1, -1, +1, +1] give -0.33."""
    found = load("matthews_correlation").compute(references=[1, 1, 1, -1], predictions=[1, -1, 1, 1])
    assert found["matthews_correlation"] == pytest.approx(-1 / 3, abs=1e-6)


@pytest.mark.parametrize("adjusted", [False, True])
def test_balanced_accuracy(adjusted: bool) -> None:
    """scikit-learn's docstring gives 0.625; adjusted for chance it is its own function's value."""
    given = {"references": [0, 1, 0, 0, 1, 0], "predictions": [0, 1, 0, 0, 0, 1]}
    expected = balanced_accuracy_score(given["references"], given["predictions"], adjusted=adjusted)
    assert adjusted or expected == 0.625
    found = load("balanced_accuracy").compute(**given, adjusted=adjusted)["balanced_accuracy"]
    assert found == pytest.approx(expected, abs=1e-12)


def test_confusion_matrix() -> None:
    """The example of the card, and the labels in whose order it stands."""
    scores = load("confusion_matrix").compute(**SIX)
    assert scores["confusion_matrix"].tolist() == [[1, 0, 1], [0, 2, 0], [1, 1, 0]]
    assert scores.implementation.settings["labels"] == [0, 1, 2]


def test_labels_may_be_words() -> None:
    """What a model answers can be scored as it is; pos_label is then a word, too."""
    given = {"predictions": ["NEG", "POS", "POS"], "references": ["NEG", "POS", "NEG"]}
    assert load("accuracy").compute(**given)["accuracy"] == pytest.approx(2 / 3)
    assert load("f1").compute(**given, pos_label="POS")["f1"] == pytest.approx(2 / 3)
    with pytest.raises(InvalidInput, match="NEG, POS"):
        load("f1").compute(**given)


def test_three_labels_need_an_average() -> None:
    """The refusal tells the averages there are."""
    with pytest.raises(InvalidInput, match="micro, macro, weighted"):
        load("f1").compute(**CLASSES)


def test_a_zero_says_why() -> None:
    """Nothing right, never predicted, not there at all, one label only, as good as chance: each has its reason."""
    assert keys("accuracy", predictions=[0, 0], references=[1, 1]) == ["reason.metric_none_right"]
    assert keys("f1", predictions=[0, 0], references=[1, 0]) == ["reason.metric_label_unpredicted"]
    assert keys("f1", predictions=[0, 0], references=[0, 0]) == ["reason.metric_label_absent"]
    assert keys("precision", predictions=[1, 0], references=[0, 0]) == ["reason.metric_label_unexpected"]
    assert keys("recall", predictions=[1, 0], references=[0, 1]) == ["reason.metric_label_wrong"]
    assert keys("matthews_correlation", predictions=[1, 1], references=[0, 1]) == ["reason.metric_one_label"]
    chance = {"predictions": [0, 1, 0, 1], "references": [0, 0, 1, 1]}
    assert keys("matthews_correlation", **chance) == ["reason.metric_chance"]
    assert keys("balanced_accuracy", **chance, adjusted=True) == ["reason.metric_chance"]
    assert keys("accuracy", predictions=[1, 0], references=[1, 1]) == []


def test_labels_that_no_reference_has_are_named() -> None:
    """A label that is only predicted is told, and no warning is raised."""
    scores = load("balanced_accuracy").compute(predictions=[0, 2, 1], references=[0, 0, 1])
    assert scores["balanced_accuracy"] == pytest.approx(0.75)
    assert [note.values["labels"] for note in scores.notes] == ["2"]


def test_zero_division_is_the_users_choice() -> None:
    """With zero_division=1 an undefined precision counts as 1, as in scikit-learn."""
    given = {"predictions": [0, 0], "references": [1, 0]}
    assert load("precision").compute(**given, zero_division=1)["precision"] == 1.0
    assert load("precision").compute(**given)["precision"] == 0.0
