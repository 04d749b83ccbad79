"""Labels against labels: accuracy, precision, recall, F1, MCC and the confusion matrix, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from core.errors import InvalidInput
from core.evaluation.columns import label_pair
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np

Column: TypeAlias = "Sequence[Any] | np.ndarray[Any, Any]"
Average = Literal["binary", "micro", "macro", "weighted", "samples"]

LIBRARY = "scikit-learn"
MOST_NAMED = 10
"""Labels that a note names; of more it says how many there are."""
_BINARY = 2


@dataclass(frozen=True)
class AccuracyOptions:
    """Keywords of evaluate's accuracy."""

    normalize: bool = True
    sample_weight: Sequence[float] | None = None


@dataclass(frozen=True)
class WeightOptions:
    """Keywords of evaluate's matthews_correlation."""

    sample_weight: Sequence[float] | None = None


@dataclass(frozen=True)
class BalancedOptions:
    """Keywords of the Hub's balanced_accuracy."""

    sample_weight: Sequence[float] | None = None
    adjusted: bool = False


@dataclass(frozen=True)
class ClassOptions:
    """Keywords of evaluate's f1."""

    labels: Sequence[Any] | None = None
    pos_label: Any = 1
    average: Average | None = "binary"
    sample_weight: Sequence[float] | None = None


@dataclass(frozen=True)
class DividedOptions(ClassOptions):
    """Keywords of evaluate's precision and recall; "warn" counts as 0, and a note says so instead of a warning."""

    zero_division: Literal["warn", 0, 1] | float = "warn"


@dataclass(frozen=True)
class MatrixOptions:
    """Keywords of evaluate's confusion_matrix."""

    labels: Sequence[Any] | None = None
    sample_weight: Sequence[float] | None = None
    normalize: Literal["true", "pred", "all"] | None = None


def _accuracy(rows: Rows, options: AccuracyOptions) -> Outcome:
    from sklearn.metrics import accuracy_score

    predictions, references = label_pair(rows.predictions, rows.references)
    score = accuracy_score(references, predictions, normalize=options.normalize, sample_weight=options.sample_weight)
    return Outcome({"accuracy": float(score)}, [] if score else [none_right("accuracy", predictions, references)])


def _balanced_accuracy(rows: Rows, options: BalancedOptions) -> Outcome:
    import numpy as np
    from sklearn.metrics import recall_score

    predictions, references = label_pair(rows.predictions, rows.references)
    present = np.unique(references)  # balanced_accuracy_score is this mean, and warns where a label was never expected
    score = recall_score(
        references,
        predictions,
        labels=present,
        average="macro",
        sample_weight=options.sample_weight,
        zero_division=0.0,
    )
    if options.adjusted and len(present) > 1:
        score = (score - 1 / len(present)) / (1 - 1 / len(present))
    notes = unexpected("balanced_accuracy", predictions, references)
    if not score:
        notes.append(
            say("reason.metric_chance", name="balanced_accuracy")
            if options.adjusted
            else none_right("balanced_accuracy", predictions, references)
        )
    return Outcome({"balanced_accuracy": float(score)}, notes)


def _f1(rows: Rows, options: ClassOptions) -> Outcome:
    from sklearn.metrics import f1_score

    return _by_class("f1", f1_score, rows, options)


def _precision(rows: Rows, options: DividedOptions) -> Outcome:
    from sklearn.metrics import precision_score

    return _by_class("precision", precision_score, rows, options)


def _recall(rows: Rows, options: DividedOptions) -> Outcome:
    from sklearn.metrics import recall_score

    return _by_class("recall", recall_score, rows, options)


def _by_class(name: str, function: Any, rows: Rows, options: ClassOptions) -> Outcome:
    predictions, references = label_pair(rows.predictions, rows.references)
    present = _present(predictions, references)
    if options.average == "binary":
        _refuse_not_binary(name, options, predictions, present)
    zero_division = getattr(options, "zero_division", 0.0)
    score = function(
        references,
        predictions,
        labels=options.labels,
        pos_label=options.pos_label,
        average=options.average,
        sample_weight=options.sample_weight,
        zero_division=0.0 if zero_division == "warn" else zero_division,
    )
    value = float(score) if getattr(score, "size", 1) == 1 else score
    return Outcome({name: value}, _class_notes(name, options, predictions, references))


def _present(predictions: np.ndarray[Any, Any], references: np.ndarray[Any, Any]) -> list[Any]:
    import numpy as np

    found: list[Any] = np.union1d(predictions, references).tolist()
    return found


def _refuse_not_binary(name: str, options: ClassOptions, predictions: np.ndarray[Any, Any], present: list[Any]) -> None:
    if len(present) > _BINARY or predictions.ndim > 1:
        raise InvalidInput("error.metric_average", name=name, count=len(present), labels=_named(present))
    if options.pos_label not in present and len(present) == _BINARY:
        raise InvalidInput("error.metric_pos_label", name=name, value=options.pos_label, labels=_named(present))


def _class_notes(
    name: str, options: ClassOptions, predictions: np.ndarray[Any, Any], references: np.ndarray[Any, Any]
) -> list[Sentence]:
    predicted, expected, right = _label_sets(predictions, references)
    wanted = [options.pos_label] if options.average == "binary" else sorted(predicted | expected)
    wanted = wanted if options.labels is None else list(options.labels)
    groups = {
        "reason.metric_label_absent": [one for one in wanted if one not in predicted | expected],
        "reason.metric_label_unpredicted": [one for one in wanted if one in expected - predicted],
        "reason.metric_label_unexpected": [one for one in wanted if one in predicted - expected],
        "reason.metric_label_wrong": [one for one in wanted if one in (predicted & expected) - right],
    }
    return [say(key, name=name, labels=_named(group)) for key, group in groups.items() if group]


def _label_sets(
    predictions: np.ndarray[Any, Any], references: np.ndarray[Any, Any]
) -> tuple[set[Any], set[Any], set[Any]]:
    """Return the labels that were predicted, expected, and both in the same row; of several labels a row, columns."""
    import numpy as np

    if predictions.ndim > 1:
        tables = (predictions > 0, references > 0, (predictions > 0) & (references > 0))
        predicted, expected, right = (set(np.flatnonzero(table.any(axis=0)).tolist()) for table in tables)
        return predicted, expected, right
    return set(predictions.tolist()), set(references.tolist()), set(predictions[predictions == references].tolist())


def _matthews_correlation(rows: Rows, options: WeightOptions) -> Outcome:
    from sklearn.metrics import matthews_corrcoef

    predictions, references = label_pair(rows.predictions, rows.references)
    note = _one_label("matthews_correlation", predictions, references)
    if note:  # scikit-learn returns 0, too, and warns
        return Outcome({"matthews_correlation": 0.0}, [note])
    score = float(matthews_corrcoef(references, predictions, sample_weight=options.sample_weight))
    notes = [] if score else [say("reason.metric_chance", name="matthews_correlation")]
    return Outcome({"matthews_correlation": score}, notes)


def _one_label(name: str, predictions: np.ndarray[Any, Any], references: np.ndarray[Any, Any]) -> Sentence | None:
    for column, values in (("predictions", predictions), ("references", references)):
        if (values == values.flat[0]).all():
            return say("reason.metric_one_label", name=name, column=column, label=values.flat[0].item())
    return None


def _confusion_matrix(rows: Rows, options: MatrixOptions) -> Outcome:
    from sklearn.metrics import confusion_matrix

    predictions, references = label_pair(rows.predictions, rows.references)
    names = _present(predictions, references) if options.labels is None else list(options.labels)
    matrix = confusion_matrix(
        references, predictions, labels=names, sample_weight=options.sample_weight, normalize=options.normalize
    )
    return Outcome({"confusion_matrix": matrix}, used={"labels": names})


def none_right(name: str, predictions: Column, references: Column) -> Sentence:
    """Say that a score is 0 because nothing agrees, with the first row as the example."""
    example = {"prediction": str(predictions[0])[:60], "reference": str(references[0])[:60]}
    return say("reason.metric_none_right", name=name, count=len(references), **example)


def unexpected(name: str, predictions: np.ndarray[Any, Any], references: np.ndarray[Any, Any]) -> list[Sentence]:
    """Say which labels were predicted though no reference has them."""
    strange = sorted(set(predictions.tolist()) - set(references.tolist()))
    return [say("reason.metric_label_unexpected", name=name, labels=_named(strange))] if strange else []


def _named(labels: Sequence[Any]) -> str:
    shown = ", ".join(map(str, labels[:MOST_NAMED]))
    return shown if len(labels) <= MOST_NAMED else f"{shown}, … ({len(labels)})"


_SEVERAL = ("default", "multilabel")

RECIPES = (
    Recipe("accuracy", LIBRARY, "sklearn.metrics.accuracy_score", _accuracy, AccuracyOptions, configs=_SEVERAL),
    Recipe("balanced_accuracy", LIBRARY, "sklearn.metrics.recall_score", _balanced_accuracy, BalancedOptions),
    Recipe("f1", LIBRARY, "sklearn.metrics.f1_score", _f1, ClassOptions, configs=_SEVERAL),
    Recipe("precision", LIBRARY, "sklearn.metrics.precision_score", _precision, DividedOptions, configs=_SEVERAL),
    Recipe("recall", LIBRARY, "sklearn.metrics.recall_score", _recall, DividedOptions, configs=_SEVERAL),
    Recipe("matthews_correlation", LIBRARY, "sklearn.metrics.matthews_corrcoef", _matthews_correlation, WeightOptions),
    Recipe("confusion_matrix", LIBRARY, "sklearn.metrics.confusion_matrix", _confusion_matrix, MatrixOptions),
)
"""The metrics of this file."""
