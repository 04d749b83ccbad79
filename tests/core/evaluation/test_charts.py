"""The data of charts: every row is counted, and curves end where they must."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, confusion_matrix, roc_auc_score

from core.evaluation.charts import MOST_POINTS, by_length, charts_of, confusion, curves, reliability, thinned
from core.evaluation.label_sums import classes_of
from core.evaluation.loading import load
from core.evaluation.measuring import row_scores
from tests.core.evaluation.test_measuring import expected_texts, labelled, tagged


def test_a_confusion_matrix_is_scikit_learns() -> None:
    """Rows are what is right, columns what was answered; labels that occur only once have their place."""
    material = labelled()
    found = confusion(classes_of(material.labels, material.references))
    assert found is not None
    assert found["labels"] == ["bird", "cat", "dog"]
    assert found["matrix"] == confusion_matrix(material.references, material.labels, labels=found["labels"]).tolist()
    assert confusion(classes_of([str(place) for place in range(60)], ["0"] * 60)) is None


def test_reliability_tells_the_calibration_error() -> None:
    """The gaps between confidence and accuracy, weighted by their rows, are ece."""
    material = labelled()
    bins = reliability(material)
    gaps = [one["count"] * abs(one["accuracy"] - one["confidence"]) for one in bins if one["count"]]
    columns = {"predictions": material.probabilities, "references": material.expected, "labels": [0, 1, 2]}
    assert sum(gaps) / 60 == pytest.approx(load("ece").compute(**columns)["ece"])
    assert sum(one["count"] for one in bins) == 60
    assert next(one for one in bins if not one["count"])["accuracy"] is None


def test_curves_of_several_labels() -> None:
    """Each against the rest, with the area that scikit-learn tells; of two labels the second alone."""
    material = labelled()
    found = {one["label"]: one for one in curves(material)}
    assert set(found) == {"bird", "cat", "dog"}
    for place, name in enumerate(material.names):
        roc = found[name]["roc"]
        expected = roc_auc_score(material.expected == place, material.probabilities[:, place])
        assert roc["auc"] == pytest.approx(expected)
        assert auc(roc["fpr"], roc["tpr"]) == pytest.approx(expected)
        assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
        assert found[name]["pr"]["precision"][-1] == 1
    assert [one["label"] for one in curves(labelled(names=("no", "yes")))] == ["yes"]


def test_long_curves_are_thinned() -> None:
    """Their ends stay."""
    found = thinned(np.arange(10_000.0))
    assert len(found) == MOST_POINTS
    assert (found[0], found[-1]) == (0, 9_999)
    assert thinned(np.array([1.0, 2.0])) == [1, 2]


def test_scores_by_length() -> None:
    """As many rows in each group, the shortest first, none lost."""
    found = by_length(["x" * length for length in range(25)], [float(length) for length in range(25)])
    assert sum(one["count"] for one in found) == 25
    assert found[0] == {"low": 0, "high": 2, "count": 3, "score": 1.0}
    assert found[-1]["high"] == 24
    assert by_length(["a"], [0.5]) == [{"low": 1, "high": 1, "count": 1, "score": 0.5}]


def test_charts_fit_the_answers() -> None:
    """Tags have a matrix by entity and no curves, running text has lengths alone."""
    words = tagged()
    found = charts_of(words, row_scores(words))
    assert set(found) == {"lengths", "per_class", "confusion"}
    assert found["confusion"]["labels"] == ["LOC", "O", "PER"]
    texts = expected_texts()
    assert set(charts_of(texts, row_scores(texts))) == {"lengths"}
