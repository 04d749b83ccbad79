"""Answers beside references, row by row, in the columns that metrics take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from core.evaluation.label_sums import Classes, classes_of
from core.evaluation.loading import load
from core.evaluation.metric import Scores
from core.evaluation.metrics.answers import normalized, token_f1
from core.evaluation.reading import input_of, kind_of, reference_of
from core.training.data.prepared import WORDS

if TYPE_CHECKING:
    import numpy as np

    from core.models.registry import Registry


@dataclass(frozen=True)
class Material:
    """Rows that were answered, with what was answered; see core.evaluation.reading for the forms of answers."""

    task: str
    shape: str
    rows: Sequence[dict[str, Any]]
    answers: Sequence[Any]
    registry: Registry | None = field(default=None, compare=False)
    """Lends the models of metrics that need one."""

    @cached_property
    def references(self) -> list[Any]:
        """What the answers should be."""
        return [reference_of(row, self.shape) for row in self.rows]

    @cached_property
    def inputs(self) -> list[str]:
        """What was asked."""
        return [input_of(row, self.shape) for row in self.rows]

    @cached_property
    def labels(self) -> list[str]:
        """The labels that were answered, of a classifier."""
        return [str(answer["label"]) for answer in self.answers]

    @cached_property
    def classes(self) -> Classes:
        """Both columns of labels; of tagged words, word by word, what the tags are about."""
        if self.shape == WORDS:
            return classes_of(_kinds(self.answers), _kinds(self.references))
        return classes_of(self.labels, self.references)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels that have a probability, sorted."""
        return tuple(sorted({name for answer in self.answers for name in answer.get("scores", ())}))

    @cached_property
    def probabilities(self) -> np.ndarray[Any, Any]:
        """(rows, labels) by `names`; a label that an answer does not tell has 0."""
        import numpy as np

        rows = [[answer["scores"].get(name, 0.0) for name in self.names] for answer in self.answers]
        return np.array(rows, float).reshape(len(rows), len(self.names))

    @cached_property
    def expected(self) -> np.ndarray[Any, Any]:
        """(rows,) the places in `names` of the labels that are right; -1 where the answers do not tell it."""
        import numpy as np

        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places.get(label, -1) for label in self.references], int)

    @cached_property
    def entities(self) -> np.ndarray[Any, Any]:
        """(rows, 5): entities that are right, were found, are wanted; words that are right, and all words."""
        import numpy as np

        return np.array([_counted(*pair) for pair in zip(self.answers, self.references, strict=True)], float)

    def squad(self, *, second: bool) -> np.ndarray[Any, Any]:
        """(rows, 2): exact match and F1 of each answer, 0 to 1, as SQuAD's first or `second` script counts them."""
        import numpy as np

        count = _second if second else _first
        return np.array([count(*pair) for pair in zip(self.answers, self.references, strict=True)], float)

    @cached_property
    def rouge(self) -> Scores:
        """ROUGE of each row, by its types."""
        columns = {"predictions": list(self.answers), "references": self.references}
        found: Scores = load("rouge").compute(**columns, use_aggregator=False)
        return found

    @property
    def without_answer(self) -> bool:
        """Tell whether some questions have no answer."""
        return any(not answers for answers in self.references)


def _kinds(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return what each word's tag is about, all rows one after the other."""
    return [kind_of(tag) for tags in rows for tag in tags]


def _counted(predicted: Sequence[str], expected: Sequence[str]) -> tuple[int, int, int, int, int]:
    from seqeval.metrics.sequence_labeling import get_entities

    found, wanted = set(get_entities(list(predicted))), set(get_entities(list(expected)))
    right = sum(map(str.__eq__, predicted, expected))
    return len(found & wanted), len(found), len(wanted), right, len(expected)


def _first(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Return exact match and F1 of the answer that fits best."""
    exact = max(normalized(prediction) == normalized(answer) for answer in answers)
    return float(exact), max(token_f1(prediction, answer) for answer in answers)


def _second(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Return the same where answers that say nothing do not count; where none says anything, silence is right."""
    worth = [answer for answer in answers if normalized(answer)] or [""]
    exact = [float(normalized(prediction) == normalized(answer)) for answer in worth]
    overlap = [
        token_f1(prediction, answer) if normalized(answer) and normalized(prediction) else same
        for answer, same in zip(worth, exact, strict=True)
    ]
    return max(exact), max(overlap)
