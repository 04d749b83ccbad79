"""Two models on the same rows, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.comparison import Comparison, Side, compare
from core.evaluation.measured import Measured
from core.evaluation.resampling import mean_tally
from core.evaluation.tasks import EXPECTED, RowScore
from core.words import LANGUAGES

RIGHT = RowScore("right", binary=True)


def side(model: str, scores: Sequence[float], *, lower_is_better: bool = False) -> Side:
    """Return a model that was measured by the mean of its rows' scores."""
    tally = mean_tally(scores)
    measured = Measured("mean", {"mean": tally.value}, {"mean": tally}, lower_is_better=lower_is_better)
    return Side(model, [measured], list(scores))


def of(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare A and B by right and wrong."""
    return compare(side("A", first), side("B", second), RIGHT, draws=500)


def test_the_better_one_is_named() -> None:
    """B wins 37 of 500 rows and loses 2: the interval excludes 0, in four languages."""
    first = [1.0] * 402 + [0.0] * 98
    second = [0.0] * 2 + [1.0] * 400 + [1.0] * 37 + [0.0] * 61
    found = of(first, second)
    assert (found.better, found.worse, found.equal) == (37, 2, 461)
    assert found.sentence.key == "say.evaluation_better"
    assert str(found.sentence).startswith("B is better than A: its answer is the better one on 37 of 500 rows")
    assert "excludes 0" in str(found.sentence)
    assert found.mcnemar is not None
    assert found.mcnemar[:2] == (2, 37)
    assert found.mcnemar[2] < 1e-6
    for language in LANGUAGES:
        told = found.sentence.in_language(language)
        assert "37" in told
        assert "500" in told


def test_the_first_may_be_the_better_one() -> None:
    """Who wins is told first, with its own wins; the difference stays second minus first."""
    found = of([1.0] * 90 + [0.0] * 10, [1.0] * 50 + [0.0] * 50)
    assert found.sentence.key == "say.evaluation_better"
    assert (found.sentence.values["better"], found.sentence.values["won"], found.sentence.values["lost"]) == (
        "A",
        40,
        0,
    )
    assert found.paired["mean"].difference == pytest.approx(-0.4)


def test_chance_is_called_so() -> None:
    """Three rows won and two lost of ten: the interval includes 0, and nobody is called better."""
    found = of([1, 1, 0, 0, 0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    assert (found.better, found.worse) == (3, 2)
    assert found.sentence.key == "say.evaluation_unsure"
    assert found.mcnemar == (2, 3, 1.0)
    assert found.test_sentence is not None
    assert "p = 1" in str(found.test_sentence)


def test_equal_models_are_equal() -> None:
    """The same scores on all rows."""
    assert of([1.0, 0.0], [1.0, 0.0]).sentence.key == "say.evaluation_same"


def test_lower_may_be_better() -> None:
    """Bits a byte: the model with fewer wins the row, and the comparison."""
    chance = np.random.default_rng(0)
    first = chance.random(100) + 2
    second = first - 0.5
    left, right = (side(name, list(one), lower_is_better=True) for name, one in (("A", first), ("B", second)))
    found = compare(left, right, EXPECTED, draws=200)
    assert (found.better, found.worse, found.mcnemar) == (100, 0, None)
    assert found.sentence.values["better"] == "B"
    assert found.test_sentence is None


def test_one_row_is_counted_only() -> None:
    """Of a single row there is no interval: the counts stand alone."""
    assert of([0.0], [1.0]).sentence.key == "say.evaluation_counts"


def test_other_rows_are_refused() -> None:
    """Different numbers of rows, and none at all, cannot be compared."""
    with pytest.raises(InvalidInput) as refusal:
        of([1.0], [1.0, 0.0])
    assert refusal.value.sentence.key == "error.evaluate_other_rows"
    with pytest.raises(InvalidInput) as refusal:
        compare(Side("A", [], []), Side("B", [], []), RIGHT)
    assert refusal.value.sentence.key == "error.evaluate_nothing_common"


def test_two_metrics_may_have_one_key() -> None:
    """BLEU and chrF both call theirs score: they are told apart by the metric."""
    tally = mean_tally([1.0, 2.0, 3.0])
    two = [Measured(name, {"score": 2.0}, {"score": tally}) for name in ("sacrebleu", "chrf")]
    found = compare(Side("A", two, [1, 2, 3]), Side("B", two, [1, 2, 4]), RowScore("chrf"), draws=100)
    assert list(found.paired) == ["sacrebleu_score", "chrf_score"]
    assert found.key == "sacrebleu_score"
