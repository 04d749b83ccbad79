"""How sure a score is: bootstrap intervals (percentiles), and the paired bootstrap of two models on the same rows.

A metric is told what each row adds to a few sums, and what the score of such sums is. Rows that add the same are
counted together: drawing rows with replacement is then drawing how often each kind of row comes, which is exact and
takes a metric of labels over a hundred thousand rows to a handful of numbers. Efron & Tibshirani 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Table = np.ndarray[Any, np.dtype[np.float64]]
    Places = np.ndarray[Any, np.dtype[np.int64]]

LEVEL = 0.95
DRAWS = 1_000
FEWEST = 2
"""Rows below which nothing can be resampled."""
NUMBERS_AT_ONCE = 4_000_000
"""Counts that are held at a time: 32 MB of float64."""
LEAST_TOLD = 0.9
"""Part of the draws that must have a score at all: one without a positive row has no ROC, say."""


@dataclass(frozen=True)
class Interval:
    """From where to where the score would lie with other rows of the same kind, in 95 of 100 cases."""

    low: float
    high: float
    draws: int
    level: float = LEVEL


@dataclass(frozen=True)
class Tally:
    """What a metric sums up, row by row."""

    groups: Places
    """(rows,) which kind each row is."""
    table: Table
    """(kinds, parts) what a row of that kind adds to the sums."""
    score: Callable[[Table], Table]
    """Sums (draws, parts) → scores (draws,); NaN where a draw has none."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.groups)

    @property
    def value(self) -> float:
        """The score of all rows as they are."""
        import numpy as np

        counts = np.bincount(self.groups, minlength=len(self.table)).astype(float)
        return float(self.score((counts @ self.table)[None, :])[0])

    def of(self, places: Places) -> Tally:
        """Return the same over these rows only."""
        return Tally(self.groups[places], self.table, self.score)


def tally(parts: Any, score: Callable[[Table], Table]) -> Tally:
    """Return the tally of `parts` (rows, sums) or (rows,); rows that add the same become one kind."""
    import numpy as np

    values = np.asarray(parts, float)
    values = values[:, None] if values.ndim == 1 else values
    table, groups = np.unique(values, axis=0, return_inverse=True)
    return Tally(groups.reshape(-1), table, score)


def mean_tally(scores: Any, factor: float = 1.0) -> Tally:
    """Return the tally of a mean over rows, times `factor`."""
    import numpy as np

    values = np.asarray(scores, float)
    return tally(np.column_stack([values, np.ones(len(values))]), lambda sums: factor * sums[:, 0] / sums[:, 1])


def ratio_tally(above: Any, below: Any, factor: float = 1.0) -> Tally:
    """Return the tally of one sum over another, times `factor`."""
    import numpy as np

    return tally(np.column_stack([above, below]), lambda sums: factor * divided(sums[:, 0], sums[:, 1]))


def divided(above: Any, below: Any, otherwise: float = float("nan")) -> Any:
    """Divide, with `otherwise` where the divisor is 0."""
    import numpy as np

    result = np.full(np.broadcast(above, below).shape, otherwise)
    return np.divide(above, below, out=result, where=np.asarray(below) != 0)


def bootstrap(found: Tally, draws: int = DRAWS, seed: int = 0, level: float = LEVEL) -> Interval | None:
    """Return the percentile interval of a score; None where there are too few rows, or too few draws have a score."""
    import numpy as np

    if found.rows < FEWEST:
        return None
    counted = _counts(found.groups, len(found.table), draws, np.random.default_rng(seed))
    scores = np.concatenate([found.score(counts @ found.table) for counts in counted])
    return percentile_interval(scores, level)


@dataclass(frozen=True)
class Paired:
    """By how much the second model differs from the first on the same rows, and how easily chance would do that."""

    difference: float
    low: float
    high: float
    p_value: float
    """Two-sided: twice the part of the draws on the other side of 0, never below what so many draws can tell."""
    draws: int

    @property
    def excludes_zero(self) -> bool:
        """Tell whether the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(first: Tally, second: Tally, draws: int = DRAWS, seed: int = 0) -> Paired | None:
    """Return second minus first with its interval, both scored on the same draws of the same rows.

    None where there are too few rows, or too few draws have a score. Both must be of the same rows, in order.
    """
    import numpy as np

    if first.rows != second.rows:
        message = f"{first.rows} rows beside {second.rows}"
        raise ValueError(message)
    if first.rows < FEWEST:
        return None
    codes, groups = np.unique(first.groups * len(second.table) + second.groups, return_inverse=True)
    left, right = first.table[codes // len(second.table)], second.table[codes % len(second.table)]
    generator = np.random.default_rng(seed)
    differences = np.concatenate(
        [
            second.score(counts @ right) - first.score(counts @ left)
            for counts in _counts(groups.reshape(-1), len(codes), draws, generator)
        ]
    )
    found = percentile_interval(differences, LEVEL)
    if found is None:
        return None
    told = differences[np.isfinite(differences)]
    beyond = min(int((told <= 0).sum()), int((told >= 0).sum()))
    p_value = min(1.0, 2 * (beyond + 1) / (len(told) + 1))
    return Paired(second.value - first.value, found.low, found.high, p_value, found.draws)


def _counts(groups: Places, kinds: int, draws: int, generator: np.random.Generator) -> Iterator[Table]:
    """Give how often each kind of row comes in each draw, (some draws, kinds), until there were `draws` of them."""
    import numpy as np

    rows = len(groups)
    weights = np.bincount(groups, minlength=kinds) / rows
    at_once = max(1, NUMBERS_AT_ONCE // max(kinds, rows))
    for start in range(0, draws, at_once):
        several = min(at_once, draws - start)
        if kinds * 4 <= rows:
            yield generator.multinomial(rows, weights, size=several).astype(float)
            continue
        picked = groups[generator.integers(rows, size=(several, rows))] + kinds * np.arange(several)[:, None]
        yield np.bincount(picked.ravel(), minlength=kinds * several).reshape(several, kinds).astype(float)


def percentile_interval(scores: Table, level: float = LEVEL) -> Interval | None:
    """Return the interval of resampled scores (draws,); None where too few of them are numbers."""
    import numpy as np

    told = scores[np.isfinite(scores)]
    if len(told) < LEAST_TOLD * len(scores):
        return None
    low, high = np.percentile(told, [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(low), float(high), len(told), level)


def mcnemar(first: Any, second: Any) -> tuple[int, int, float]:
    """Return on how many rows only the first, and only the second, is right, and the exact two-sided p-value.

    `first` and `second`: booleans (rows,). Under the null hypothesis each such row is a fair coin (McNemar 1947).
    """
    import numpy as np
    from scipy.stats import binomtest

    one, other = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    decided = only_first + only_second
    if not decided:
        return 0, 0, 1.0
    return only_first, only_second, float(binomtest(only_second, decided, 0.5).pvalue)
