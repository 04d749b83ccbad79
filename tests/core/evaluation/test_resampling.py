"""Intervals and tests against SciPy's and scikit-learn's own, on the same rows."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef, precision_score, recall_score

from core.evaluation.label_sums import classes_of, label_tally, per_class, token_tally
from core.evaluation.resampling import Tally, bootstrap, mcnemar, mean_tally, paired_bootstrap, ratio_tally, tally

ROWS = 200
NAMES = ("bird", "cat", "dog")


def columns(seed: int = 0, right: float = 0.6) -> tuple[list[str], list[str]]:
    """Return labels that were predicted and expected, about `right` of them alike, dogs rare."""
    chance = np.random.default_rng(seed)
    expected = chance.choice(NAMES, ROWS, p=(0.5, 0.4, 0.1))
    guessed = chance.choice(NAMES, ROWS)
    return np.where(chance.random(ROWS) < right, expected, guessed).tolist(), expected.tolist()


def test_an_interval_of_a_mean_is_scipys() -> None:
    """The percentile interval of a mean is SciPy's, but for chance."""
    scores = np.random.default_rng(1).random(300)
    found = bootstrap(mean_tally(scores), draws=10_000, seed=3)
    expected = scipy_bootstrap(
        (scores,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=2e-3)
    assert found.draws == 10_000


def test_rows_that_add_the_same_are_drawn_together() -> None:
    """Counting kinds of rows gives the spread that drawing single rows does: right and wrong are a binomial."""
    scores = np.repeat([0.0, 1.0], (60, 140))
    grouped = mean_tally(scores)
    assert len(grouped.table) == 2
    alone = Tally(np.arange(200), np.column_stack([scores, np.ones(200)]), grouped.score)
    for one in (bootstrap(grouped, 20_000, 1), bootstrap(alone, 20_000, 2)):
        assert one is not None
        assert (one.low, one.high) == pytest.approx((0.635, 0.765), abs=0.006)


def test_the_same_seed_gives_the_same_interval() -> None:
    """An interval can be had again; another seed gives another."""
    scores = mean_tally(np.random.default_rng(1).random(50))
    assert bootstrap(scores, 500, 7) == bootstrap(scores, 500, 7)
    assert bootstrap(scores, 500, 7) != bootstrap(scores, 500, 8)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize(
    ("name", "function"), [("f1", f1_score), ("precision", precision_score), ("recall", recall_score)]
)
def test_scores_by_class_from_sums(name: str, function: Any, average: str) -> None:
    """Sums tell what scikit-learn tells: of all rows, and of rows that were drawn, though a class is missing there."""
    predicted, expected = columns()
    classes = classes_of(predicted, expected)
    found = label_tally(classes, name, average)
    assert found is not None
    assert found.value == pytest.approx(function(expected, predicted, average=average, zero_division=0))
    for seed in range(5):
        drawn = np.random.default_rng(seed).integers(ROWS, size=12)
        left, right = ([column[place] for place in drawn] for column in (predicted, expected))
        assert found.of(drawn).value == pytest.approx(function(right, left, average=average, zero_division=0))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize(
    ("name", "function"),
    [("matthews_correlation", matthews_corrcoef), ("balanced_accuracy", balanced_accuracy_score)],
)
def test_other_scores_of_labels_from_sums(name: str, function: Any) -> None:
    """Matthews' correlation and balanced accuracy are scikit-learn's, of all rows and of drawn ones."""
    predicted, expected = columns()
    found = label_tally(classes_of(predicted, expected), name)
    assert found is not None
    assert found.value == pytest.approx(function(expected, predicted))
    for seed in range(5):
        drawn = np.random.default_rng(seed).integers(ROWS, size=30)
        left, right = ([column[place] for place in drawn] for column in (predicted, expected))
        assert found.of(drawn).value == pytest.approx(function(right, left))


def test_a_table_of_classes_is_scikit_learns() -> None:
    """Precision, recall, F1 and support of each class."""
    predicted, expected = columns()
    table = per_class(classes_of(predicted, expected))
    assert [row["label"] for row in table] == list(NAMES)
    assert [row["f1"] for row in table] == pytest.approx(f1_score(expected, predicted, average=None).tolist())
    assert [row["support"] for row in table] == [expected.count(name) for name in NAMES]
    assert [row["predicted"] for row in table] == [predicted.count(name) for name in NAMES]


def test_things_that_are_found() -> None:
    """Precision, recall and F1 over all rows together; nothing found is 0."""
    right, found, wanted = [1, 0, 2], [1, 2, 2], [2, 0, 2]
    assert token_tally(right, found, wanted, "precision").value == pytest.approx(3 / 5)
    assert token_tally(right, found, wanted, "recall").value == pytest.approx(3 / 4)
    assert token_tally(right, found, wanted, "f1").value == pytest.approx(6 / 9)
    assert token_tally([0], [0], [0], "f1").value == 0


def test_a_ratio_of_sums_is_no_mean_of_ratios() -> None:
    """Errors over words: long rows count more."""
    assert ratio_tally([1, 0], [2, 8]).value == pytest.approx(0.1)


def test_one_row_has_no_interval() -> None:
    """Nothing can be drawn from a single row; and where most draws have no score, there is no interval, either."""
    assert bootstrap(mean_tally([1.0])) is None
    assert bootstrap(tally([1.0, 2.0, 3.0], lambda sums: np.full(len(sums), np.nan))) is None


def test_a_paired_difference_is_that_of_differences() -> None:
    """For a mean, resampling pairs is resampling their differences, with SciPy's interval; the p-value follows."""
    chance = np.random.default_rng(5)
    first = chance.random(150)
    second = first + chance.normal(0.05, 0.2, 150)
    found = paired_bootstrap(mean_tally(first), mean_tally(second), draws=10_000, seed=1)
    expected = scipy_bootstrap(
        (second - first,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert found is not None
    assert found.difference == pytest.approx((second - first).mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=3e-3)
    assert found.excludes_zero
    assert found.p_value < 0.05


def test_pairs_are_surer_than_two_intervals() -> None:
    """A model that is right on the same rows and a few more is told apart, though both intervals overlap."""
    first = np.array([1.0] * 50 + [0.0] * 50)
    second = np.array([1.0] * 60 + [0.0] * 40)
    alone = bootstrap(mean_tally(first)), bootstrap(mean_tally(second))
    assert alone[0]
    assert alone[1]
    assert alone[0].high > alone[1].low
    found = paired_bootstrap(mean_tally(first), mean_tally(second))
    assert found is not None
    assert found.excludes_zero


def test_no_difference_is_told_as_none() -> None:
    """The same answers: the interval is 0, the p-value 1."""
    scores = mean_tally([0.0, 1.0, 1.0, 0.5])
    found = paired_bootstrap(scores, scores, 200)
    assert found is not None
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.excludes_zero


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (3, 3), (2, 11), (9, 1), (0, 6)])
def test_mcnemar_is_a_coin(only_first: int, only_second: int) -> None:
    """The exact p-value is counted out: as many heads of so many tosses, or rarer, on both sides."""
    first = [True] * only_first + [False] * only_second + [True] * 5 + [False] * 4
    second = [False] * only_first + [True] * only_second + [True] * 5 + [False] * 4
    tosses, fewest = only_first + only_second, min(only_first, only_second)
    expected = min(1.0, 2 * sum(comb(tosses, heads) for heads in range(fewest + 1)) / 2**tosses)
    found = mcnemar(first, second)
    assert found[:2] == (only_first, only_second)
    assert found[2] == pytest.approx(expected)
