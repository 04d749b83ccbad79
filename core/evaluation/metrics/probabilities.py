"""Probabilities against labels: ROC-AUC, log loss, Brier score and calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.errors import InvalidInput
from core.evaluation.columns import labels as label_column
from core.evaluation.columns import numbers
from core.evaluation.metric import Outcome, Recipe, Rows
from core.evaluation.metrics.classification import LIBRARY
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np

_ROUNDING = 1e-3
"""How far the probabilities of a row may be from 1 together: they come from float16 and from files with few digits."""
_TWO_SIGNS = {-1, 1}
_MATRIX = 2


@dataclass(frozen=True)
class RocOptions:
    """Keywords of evaluate's roc_auc."""

    average: Literal["micro", "macro", "weighted", "samples"] | None = "macro"
    sample_weight: Sequence[float] | None = None
    max_fpr: float | None = None
    multi_class: Literal["raise", "ovr", "ovo"] = "raise"
    labels: Sequence[Any] | None = None


@dataclass(frozen=True)
class LogLossOptions:
    """Keywords of scikit-learn's log_loss; evaluate has no such metric."""

    normalize: bool = True
    sample_weight: Sequence[float] | None = None
    labels: Sequence[Any] | None = None


@dataclass(frozen=True)
class BrierOptions:
    """Keywords of evaluate's brier_score."""

    sample_weight: Sequence[float] | None = None
    pos_label: Any = 1


@dataclass(frozen=True)
class CalibrationOptions:
    """Keywords of evaluate's ece; with one column for each class, `labels` names the classes in their order."""

    n_bins: int = 10
    equal_intervals: bool = True
    pos_label: Any = None
    labels: Sequence[Any] | None = None


def _roc_auc(rows: Rows, options: RocOptions) -> Outcome:
    from sklearn.metrics import roc_auc_score

    scores = numbers(rows.columns["prediction_scores"], "prediction_scores")
    references = label_column(rows.references, "references")
    note = _one_class(references, options)
    if note:  # scikit-learn returns NaN, too, and warns
        return Outcome({"roc_auc": float("nan")}, [note])
    value = roc_auc_score(
        references,
        scores,
        average=options.average,
        sample_weight=options.sample_weight,
        max_fpr=options.max_fpr,
        multi_class=options.multi_class,
        labels=options.labels,
    )
    notes = [] if getattr(value, "size", 1) > 1 or value else [say("reason.metric_auc_zero")]
    return Outcome({"roc_auc": value if getattr(value, "ndim", 0) else float(value)}, notes)


def _one_class(references: np.ndarray[Any, Any], options: RocOptions) -> Sentence | None:
    """Say that a ranking has nothing to tell apart: in all rows, or in a column (or row) of several labels."""
    if references.ndim == 1 or options.average == "micro":
        same = (references == references.flat[0]).all()
        return say("reason.metric_auc_one_class", label=references.flat[0].item()) if same else None
    table = references.T if options.average == "samples" else references
    for place, column in enumerate(table.T):
        if (column == column[0]).all():
            return say("reason.metric_auc_one_column", place=place, label=column[0].item())
    return None


def _log_loss(rows: Rows, options: LogLossOptions) -> Outcome:
    from sklearn.metrics import log_loss

    probabilities = _probabilities(rows.predictions, sums_to_one=True)
    references = label_column(rows.references, "references")
    value = log_loss(
        references,
        probabilities,
        normalize=options.normalize,
        sample_weight=options.sample_weight,
        labels=options.labels,
    )
    return Outcome({"log_loss": float(value)})  # never 0: scikit-learn keeps probabilities a rounding away from 1


def _brier_score(rows: Rows, options: BrierOptions) -> Outcome:
    from sklearn.metrics import brier_score_loss

    probabilities = _probabilities(rows.predictions)
    references = label_column(rows.references, "references")
    value = brier_score_loss(
        references, probabilities, sample_weight=options.sample_weight, pos_label=options.pos_label
    )
    return Outcome({"brier_score": float(value)}, [] if value else [say("reason.metric_perfect", name="brier_score")])


def _calibration_error(rows: Rows, options: CalibrationOptions) -> Outcome:
    """Average |accuracy - confidence| over the bins, weighted by their rows (Guo et al. 2017, equation 3)."""
    import numpy as np

    probabilities = _probabilities(rows.predictions, sums_to_one=True)
    references = label_column(rows.references, "references")
    if probabilities.ndim == _MATRIX:
        confidence, right = _confidence(probabilities, references, options.labels)
    else:
        confidence, right = probabilities, references == _positive(references, options.pos_label)
    edges = _edges(confidence, options)
    bins = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, len(edges) - 2)
    gaps = np.bincount(bins, weights=right - confidence, minlength=len(edges) - 1)
    value = float(np.abs(gaps).sum() / len(confidence))
    return Outcome({"ece": value}, [] if value else [say("reason.metric_perfect", name="ece")])


def _confidence(
    probabilities: np.ndarray[Any, Any], references: np.ndarray[Any, Any], labels: Sequence[Any] | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the probability of the most probable class of each row, and whether it is the right one."""
    import numpy as np

    names = np.asarray(range(probabilities.shape[1]) if labels is None else labels)
    if len(names) != probabilities.shape[1] or not set(references.tolist()) <= set(names.tolist()):
        raise InvalidInput("error.metric_class_columns", columns=probabilities.shape[1], labels=_listed(references))
    return probabilities.max(axis=1), names[probabilities.argmax(axis=1)] == references


def _edges(confidence: np.ndarray[Any, Any], options: CalibrationOptions) -> np.ndarray[Any, Any]:
    import numpy as np

    if options.n_bins < 1:
        raise InvalidInput("error.number_outside", name="n_bins", value=options.n_bins, low=1, high=1000)
    steps = np.linspace(0, 1, options.n_bins + 1)
    return steps if options.equal_intervals else np.unique(np.quantile(confidence, steps))


def _positive(references: np.ndarray[Any, Any], given: Any) -> Any:
    """Return the label whose probability was given: 1, the larger of two numbers, or what the user names."""
    found = set(references.tolist())
    if given is not None:
        return given
    if references.dtype.kind == "U":
        raise InvalidInput("error.metric_pos_label", name="ece", value="", labels=_listed(references))
    return 1 if found <= {0, 1} or found <= _TWO_SIGNS else max(found)


def _probabilities(column: Any, *, sums_to_one: bool = False) -> np.ndarray[Any, Any]:
    import numpy as np

    values = numbers(column, "predictions")
    outside: Any = (values < 0) | (values > 1)
    if values.ndim == _MATRIX:
        outside = outside.any(axis=1)
        if sums_to_one:
            outside = outside | np.greater(np.abs(values.sum(axis=1) - 1), _ROUNDING)
    if outside.any():
        row = int(outside.argmax())
        raise InvalidInput("error.metric_probabilities", row=row + 1, value=values[row])
    return values / values.sum(axis=1, keepdims=True) if values.ndim == _MATRIX and sums_to_one else values


def _listed(references: np.ndarray[Any, Any]) -> str:
    return ", ".join(map(str, sorted(set(references.tolist()))))


RECIPES = (
    Recipe(
        "roc_auc",
        LIBRARY,
        "sklearn.metrics.roc_auc_score",
        _roc_auc,
        RocOptions,
        columns=("prediction_scores", "references"),
        configs=("default", "multiclass", "multilabel"),
    ),
    Recipe("log_loss", LIBRARY, "sklearn.metrics.log_loss", _log_loss, LogLossOptions, lower_is_better=True),
    Recipe(
        "brier_score", LIBRARY, "sklearn.metrics.brier_score_loss", _brier_score, BrierOptions, lower_is_better=True
    ),
    Recipe("ece", "numpy", "numpy.bincount", _calibration_error, CalibrationOptions, lower_is_better=True),
)
"""The metrics of this file."""
