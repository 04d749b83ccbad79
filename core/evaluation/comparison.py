"""Two models on the same rows: who wins where, by how much, and whether chance would do as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.resampling import DRAWS, Paired, mcnemar, paired_bootstrap
from core.words import Sentence, say

if TYPE_CHECKING:
    from core.evaluation.measured import Measured
    from core.evaluation.tasks import RowScore

SAME = 1e-9
"""Scores of a row that differ by no more are equal."""


@dataclass(frozen=True)
class Side:
    """One model's part of a comparison: its metrics and the score of each row, on rows that both have answered."""

    model: str
    measured: Sequence[Measured]
    scores: Sequence[float]


@dataclass(frozen=True)
class Comparison:
    """The second model beside the first; counts are of rows."""

    first: str
    second: str
    rows: int
    better: int
    """Rows on which the second has the better score of the row."""
    worse: int
    key: str
    """The number that decides, such as "accuracy"."""
    paired: Mapping[str, Paired]
    """Second minus first, for each number that can be resampled."""
    lower_is_better: Mapping[str, bool] = field(default_factory=dict)
    mcnemar: tuple[int, int, float] | None = None
    """Rows that only the first, and only the second, has right, and the exact p-value; of binary row scores alone."""
    left_out: int = 0
    """Rows that one of the two did not answer."""

    @property
    def equal(self) -> int:
        """Rows on which both have the same score."""
        return self.rows - self.better - self.worse

    @property
    def sentence(self) -> Sentence:
        """Who is better, in words."""
        if not self.better and not self.worse:
            return say("say.evaluation_same", first=self.first, second=self.second, rows=self.rows)
        found = self.paired.get(self.key)
        if found is None:
            return say("say.evaluation_counts", **self._counts(second=True))
        higher = (found.difference > 0) != self.lower_is_better.get(self.key, False)
        told = self._counts(second=higher or not found.excludes_zero)
        numbers = {name: f"{getattr(found, name):+.4g}" for name in ("difference", "low", "high")}
        key = "say.evaluation_better" if found.excludes_zero else "say.evaluation_unsure"
        return say(key, metric=self.key, **numbers, **told)

    @property
    def test_sentence(self) -> Sentence | None:
        """What McNemar's test says; None where it does not apply."""
        if self.mcnemar is None:
            return None
        only_first, only_second, p_value = self.mcnemar
        counts = {"only_first": only_first, "only_second": only_second}
        return say("say.evaluation_mcnemar", first=self.first, second=self.second, p_value=f"{p_value:.3g}", **counts)

    def _counts(self, *, second: bool) -> dict[str, Any]:
        """Return who is told of first, and on how many rows each wins."""
        names, wins = (self.second, self.first), (self.better, self.worse)
        names, wins = (names, wins) if second else (names[::-1], wins[::-1])
        return {"better": names[0], "other": names[1], "won": wins[0], "lost": wins[1], "rows": self.rows}


def compare(first: Side, second: Side, row_score: RowScore, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare two models on the same rows, in order; raises InvalidInput where they are not as many, or none."""
    if len(first.scores) != len(second.scores):
        raise InvalidInput(
            "error.evaluate_other_rows",
            first=first.model,
            second=second.model,
            counts=f"{len(first.scores)}, {len(second.scores)}",
        )
    if not first.scores:
        raise InvalidInput("error.evaluate_nothing_common", first=first.model, second=second.model)
    signs = [_sign(one, other, row_score) for one, other in zip(first.scores, second.scores, strict=True)]
    pairs = _pairs(first, second)
    found = {key: paired_bootstrap(*tallies, draws, seed) for key, tallies in pairs.items()}
    tested = mcnemar([one > 0 for one in first.scores], [one > 0 for one in second.scores])
    return Comparison(
        first.model,
        second.model,
        rows=len(signs),
        better=signs.count(1),
        worse=signs.count(-1),
        key=next(iter(pairs), row_score.name),
        paired={key: one for key, one in found.items() if one is not None},
        lower_is_better={key: one.lower_is_better for key, (one, _) in _named(first).items()},
        mcnemar=tested if row_score.binary else None,
    )


def _sign(first: float, second: float, row_score: RowScore) -> int:
    gain = first - second if row_score.lower_is_better else second - first
    return 0 if abs(gain) <= SAME else 1 if gain > 0 else -1


def _pairs(first: Side, second: Side) -> dict[str, tuple[Any, Any]]:
    """Return the tallies of both for each number that both have, the metric that counts first in front."""
    own, other = (_named(side) for side in (first, second))
    return {
        key: (one.tallies[own_key], other[key][0].tallies[own_key])
        for key, (one, own_key) in own.items()
        if key in other
    }


def _named(side: Side) -> dict[str, tuple[Measured, str]]:
    """Return metric and key of all that can be resampled; a key of two metrics ("score") is told with its metric."""
    keys = [key for one in side.measured for key in one.tallies]
    return {
        (f"{one.name}_{key}" if keys.count(key) > 1 else key): (one, key)
        for one in side.measured
        for key in one.tallies
    }
