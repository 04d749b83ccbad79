"""Metrics of predictions that somebody already has, and what is refused of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import pearsonr

from core.errors import BadFile, InvalidInput, UnknownName
from core.evaluation import load
from core.evaluation.given import FITTING, metrics_of, metrics_of_file
from core.evaluation.metric import MOST_ROWS
from core.tables import write_csv

LABELS = (["cat", "dog", "cat", "dog", "cat", "cat"], ["cat", "dog", "dog", "dog", "cat", "dog"])
TEXTS = (["the cat sat on the mat", "a dog"], ["the cat sat on a mat", "the dog"])
NUMBERS = ([1.0, 2.5, 2.0, 4.5, 5.0], [1.5, 2.0, 3.0, 4.0, 5.5])
TAGS = ([["B-PER", "O"], ["O", "B-LOC"]], [["B-PER", "O"], ["B-LOC", "O"]])


@pytest.mark.parametrize(
    ("metric", "columns", "options", "keys"),
    [
        ("accuracy", LABELS, {}, {"accuracy"}),
        ("f1", LABELS, {"average": "macro"}, {"f1"}),
        ("precision", LABELS, {"average": "weighted"}, {"precision"}),
        ("matthews_correlation", LABELS, {}, {"matthews_correlation"}),
        ("rouge", TEXTS, {}, {"rouge1", "rouge2", "rougeL", "rougeLsum"}),
        ("sacrebleu", TEXTS, {}, {"score"}),
        ("chrf", TEXTS, {}, {"score"}),
        ("ter", TEXTS, {}, {"score"}),
        ("wer", TEXTS, {}, {"wer"}),
        ("exact_match", TEXTS, {}, {"exact_match"}),
        ("seqeval", TAGS, {}, {"overall_f1", "overall_precision", "overall_recall", "overall_accuracy"}),
        ("mse", NUMBERS, {}, {"mse"}),
        ("mae", NUMBERS, {}, {"mae"}),
        ("r_squared", NUMBERS, {}, {"r_squared"}),
        ("pearsonr", NUMBERS, {}, {"pearsonr"}),
        ("bleu", TEXTS, {}, set()),
        ("f1", ([1, 0, 1], [1, 1, 0]), {}, set()),
    ],
)
def test_values_are_the_metrics_own(
    metric: str, columns: tuple[Sequence[Any], Sequence[Any]], options: dict[str, Any], keys: set[str]
) -> None:
    """Values are those of core.evaluation.load; an interval stands beside each number that can be resampled."""
    predictions, references = columns
    found = metrics_of(predictions, references, metric, options)
    expected = load(metric).compute(predictions=predictions, references=references, **options)
    assert found.values == expected.plain()
    assert found.implementation == expected.implementation.as_dict()
    assert found.n == len(predictions)
    assert set(found.intervals) == keys
    for key, interval in found.intervals.items():
        assert interval.low <= interval.high
        assert interval.draws >= 900, key


def test_the_interval_of_a_correlation_is_scipys() -> None:
    """Sums tell a correlation of drawn rows as SciPy does."""
    chance = np.random.default_rng(0)
    expected = chance.random(100)
    predicted = expected + chance.normal(0, 0.3, 100)
    found = metrics_of(predicted, expected, "pearsonr").intervals["pearsonr"]
    scipys = scipy_bootstrap(
        (predicted, expected),
        lambda x, y: pearsonr(x, y).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high), abs=0.02)


@pytest.mark.parametrize(
    ("predictions", "references", "metric", "options", "key"),
    [
        (["a"], ["a", "b"], "accuracy", {}, "error.metric_unequal"),
        ([], [], "accuracy", {}, "error.metric_empty"),
        (["a"], [], "accuracy", {}, "error.metric_unequal"),
        (["a"], None, "accuracy", {}, "error.metric_missing"),
        ([1.0, float("nan")], [1.0, 2.0], "mse", {}, "error.metric_not_finite"),
        ([1.0, float("nan")], [1, 0], "accuracy", {}, "error.metric_unfit"),
        ([1, None], [1, 0], "accuracy", {}, "error.metric_missing_value"),
        (["a", None], ["a", "b"], "rouge", {}, "error.metric_missing_value"),
        (["a", "c"], ["a", "b"], "f1", {"labels": ["a", "b"], "average": "macro"}, "error.metric_unknown_label"),
        (["good"], ["bad"], "mse", {}, "error.metric_unfit"),
        ([0.2], [1], "f1", {}, "error.metric_unfit"),
        ([["B-PER"]], [["B-PER"]], "accuracy", {}, "error.metric_unfit"),
        (["a"], [1], "accuracy", {}, "error.metric_label_kinds"),
        (["a"], ["a"], "accuracy", {"averge": "macro"}, "error.metric_option"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    predictions: Any, references: Any, metric: str, options: dict[str, Any], key: str
) -> None:
    """Each refusal has its own words."""
    with pytest.raises(InvalidInput) as refusal:
        metrics_of(predictions, references, metric, options)
    assert refusal.value.sentence.key == key


def test_a_metric_that_does_not_fit_names_those_that_do() -> None:
    """The reader learns what to ask for."""
    with pytest.raises(InvalidInput) as refusal:
        metrics_of(["good"], ["bad"], "mse")
    assert str(refusal.value).endswith(f"{', '.join(FITTING['labels'])}.")


def test_ten_million_rows_are_too_many() -> None:
    """The number that is allowed is told, before anything is counted."""
    column = range(10_000_000)
    with pytest.raises(InvalidInput) as refusal:
        metrics_of(column, column, "accuracy")
    assert refusal.value.sentence.key == "error.metric_too_many"
    assert refusal.value.sentence.values == {"name": "accuracy", "count": 10_000_000, "limit": MOST_ROWS}


def test_an_unknown_metric_names_the_known() -> None:
    """As load does."""
    with pytest.raises(UnknownName, match="accuracy"):
        metrics_of(["a"], ["a"], "goodness")


def write(folder: Path, columns: dict[str, Sequence[Any]]) -> Path:
    """Write columns as CSV."""
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    write_csv(folder / "predictions.csv", list(columns), rows)
    return folder / "predictions.csv"


def test_two_columns_of_a_file(tmp_path: Path) -> None:
    """Columns are found by name or told; whole numbers of a CSV are numbers again."""
    file = write(tmp_path, {"id": range(3), "Prediction": [1, 0, 1], "label": [1, 1, 1], "mine": [1, 1, 1]})
    assert metrics_of_file(file, "f1").values == {"f1": pytest.approx(0.8)}
    assert metrics_of_file(file, "accuracy", ("mine", "label")).values == {"accuracy": 1}
    with pytest.raises(BadFile) as refusal:
        metrics_of_file(file, "accuracy", ("his", "label"))
    assert refusal.value.sentence.key == "error.no_such_column"


def test_a_file_of_words_and_of_lists(tmp_path: Path) -> None:
    """Words stay words, and lists that a CSV holds as JSON are lists."""
    words = write(tmp_path, {"prediction": ["1", "two"], "reference": ["1", "2"]})
    assert metrics_of_file(words, "exact_match").values == {"exact_match": 0.5}
    tags = write(tmp_path, {"prediction": ['["B-PER"]', '["O"]'], "reference": ['["B-PER"]', '["B-LOC"]']})
    assert metrics_of_file(tags, "seqeval").values["overall_recall"] == 0.5


def test_a_file_without_such_columns_is_refused(tmp_path: Path) -> None:
    """The sentence tells which names are looked for, and which there are."""
    file = write(tmp_path, {"left": ["a"], "right": ["b"]})
    with pytest.raises(BadFile) as refusal:
        metrics_of_file(file, "accuracy")
    assert refusal.value.sentence.key == "error.evaluate_no_column"
    assert refusal.value.sentence.values["columns"] == "left, right"
    (tmp_path / "bad.jsonl").write_text('{"prediction": "a", "reference": "a"}\n{nonsense\n')
    with pytest.raises(BadFile) as refusal:
        metrics_of_file(tmp_path / "bad.jsonl", "accuracy")
    assert (refusal.value.sentence.key, refusal.value.sentence.values["row"]) == ("error.evaluate_bad_row", 2)
