"""Scores of labels from sums alone: for each class how many rows were right, were called so, and are so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.evaluation.resampling import Tally, divided, ratio_tally, tally

if TYPE_CHECKING:
    from core.evaluation.resampling import Places, Table

MOST_CLASSES = 200
"""Classes up to which scores by class are resampled: the sums have three columns for each."""


@dataclass(frozen=True)
class Classes:
    """Two columns of labels as places in `names`."""

    names: tuple[str, ...]
    """All that occur, sorted."""
    predicted: Places
    expected: Places

    @property
    def matrix(self) -> Any:
        """The confusion matrix: (expected, predicted) counts."""
        import numpy as np

        size = len(self.names)
        cells = np.bincount(self.expected * size + self.predicted, minlength=size * size)
        return cells.reshape(size, size)


def classes_of(predictions: Sequence[str], references: Sequence[str], more: Sequence[str] = ()) -> Classes:
    """Return both columns over the labels that occur in either, and those of `more`."""
    import numpy as np

    names = tuple(sorted({*predictions, *references, *more}))
    place = {name: number for number, name in enumerate(names)}
    predicted, expected = (np.array([place[one] for one in column], int) for column in (predictions, references))
    return Classes(names, predicted, expected)


@dataclass(frozen=True)
class _Sums:
    """Counts of rows, (draws, classes) each."""

    right: Table
    predicted: Table
    expected: Table

    @property
    def rows(self) -> Table:
        """Rows of each draw: (draws,)."""
        whole: Table = self.expected.sum(axis=1)
        return whole


Score = Callable[[_Sums], Any]


def label_tally(classes: Classes, name: str, average: str = "") -> Tally | None:
    """Return the tally of a metric of labels; None for one that sums do not tell, and for too many classes.

    `name`: accuracy, balanced_accuracy, matthews_correlation, or precision, recall and f1 with their `average`.
    """
    import numpy as np

    score = _averaged(name, average) if average else _SCORES.get(name)
    if score is None:
        return None
    if name == "accuracy":
        right = (classes.predicted == classes.expected).astype(float)
        return ratio_tally(right, np.ones(len(right)))
    size = len(classes.names)
    if size > MOST_CLASSES:
        return None
    codes = classes.expected * size + classes.predicted
    cells, groups = np.unique(codes, return_inverse=True)
    expected, predicted = np.eye(size)[cells // size], np.eye(size)[cells % size]
    table = np.concatenate([expected * predicted, predicted, expected], axis=1)
    return Tally(groups.reshape(-1), table, lambda sums: score(_Sums(*np.split(sums, 3, axis=1))))


def _by_class(name: str, sums: _Sums) -> Table:
    """Return (draws, classes); 0 where there is nothing to divide by, as scikit-learn counts it."""
    below = {
        "precision": sums.predicted,
        "recall": sums.expected,
        "f1": (sums.predicted + sums.expected) / 2,
    }
    found: Table = divided(sums.right, below[name], 0.0)
    return found


def _averaged(name: str, average: str) -> Score:
    def micro(sums: _Sums) -> Any:
        return divided(sums.right.sum(axis=1), sums.rows)

    def macro(sums: _Sums) -> Any:
        present = (sums.predicted + sums.expected) > 0  # a class that neither column has does not count
        return divided((_by_class(name, sums) * present).sum(axis=1), present.sum(axis=1))

    def weighted(sums: _Sums) -> Any:
        return divided((_by_class(name, sums) * sums.expected).sum(axis=1), sums.rows)

    return {"micro": micro, "macro": macro, "weighted": weighted}[average]


def _balanced(sums: _Sums) -> Any:
    present = sums.expected > 0
    return divided((_by_class("recall", sums) * present).sum(axis=1), present.sum(axis=1))


def _correlation(sums: _Sums) -> Any:
    """Matthews' correlation of several classes (Gorodkin 2004); 0 where a column has one label only."""
    import numpy as np

    rows, right = sums.rows, sums.right.sum(axis=1)
    chance = (sums.predicted * sums.expected).sum(axis=1)
    spread = (rows**2 - (sums.predicted**2).sum(axis=1)) * (rows**2 - (sums.expected**2).sum(axis=1))
    return divided(right * rows - chance, np.sqrt(spread), 0.0)


_SCORES: Mapping[str, Score] = {
    "accuracy": lambda sums: divided(sums.right.sum(axis=1), sums.rows),
    "balanced_accuracy": _balanced,
    "matthews_correlation": _correlation,
}


def per_class(classes: Classes) -> list[dict[str, Any]]:
    """Return for each class precision, recall, F1, and how many rows have it and were called it."""
    matrix = classes.matrix
    right, expected, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    sums = _Sums(*(one[None, :].astype(float) for one in (right, predicted, expected)))
    scores = {name: _by_class(name, sums)[0] for name in ("precision", "recall", "f1")}
    return [
        {
            "label": name,
            **{key: float(column[place]) for key, column in scores.items()},
            "support": int(expected[place]),
            "predicted": int(predicted[place]),
        }
        for place, name in enumerate(classes.names)
    ]


def token_tally(right: Any, found: Any, wanted: Any, name: str) -> Tally:
    """Return the tally of precision, recall or F1 over all things found: counts (rows,) each."""
    import numpy as np

    def score(sums: Table) -> Any:
        below = {"precision": sums[:, 1], "recall": sums[:, 2], "f1": (sums[:, 1] + sums[:, 2]) / 2}
        return divided(sums[:, 0], below[name], 0.0)

    return tally(np.column_stack([right, found, wanted]), score)
