"""Numbers against numbers: MSE, MAE and R² by scikit-learn, correlations by SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.columns import numbers
from core.evaluation.metric import Outcome, Recipe, Rows
from core.evaluation.metrics.classification import LIBRARY
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np

_FEWEST = 2
"""Rows that a correlation needs."""


@dataclass(frozen=True)
class ErrorOptions:
    """Keywords of evaluate's mae."""

    sample_weight: Sequence[float] | None = None
    multioutput: str | Sequence[float] = "uniform_average"


@dataclass(frozen=True)
class SquaredOptions(ErrorOptions):
    """Keywords of evaluate's mse; squared=False is the root of it."""

    squared: bool = True


@dataclass(frozen=True)
class CorrelationOptions:
    """Keywords of evaluate's pearsonr and spearmanr."""

    return_pvalue: bool = False


def _columns(rows: Rows) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    predictions, references = numbers(rows.predictions, "predictions"), numbers(rows.references, "references")
    if predictions.shape != references.shape:
        raise InvalidInput("error.metric_shapes", shapes=f"{predictions.shape} ≠ {references.shape}")
    return predictions, references


def _mse(rows: Rows, options: SquaredOptions) -> Outcome:
    from sklearn.metrics import mean_squared_error, root_mean_squared_error

    function = mean_squared_error if options.squared else root_mean_squared_error
    return _error("mse", function, rows, options)


def _mae(rows: Rows, options: ErrorOptions) -> Outcome:
    from sklearn.metrics import mean_absolute_error

    return _error("mae", mean_absolute_error, rows, options)


def _error(name: str, function: Any, rows: Rows, options: ErrorOptions) -> Outcome:
    predictions, references = _columns(rows)
    value = function(references, predictions, sample_weight=options.sample_weight, multioutput=options.multioutput)
    value = value if getattr(value, "ndim", 0) else float(value)
    notes = [say("reason.metric_perfect", name=name)] if not getattr(value, "ndim", 0) and not value else []
    return Outcome({name: value}, notes, function=f"sklearn.metrics.{function.__name__}")


def _r_squared(rows: Rows, _: Any) -> Outcome:
    from sklearn.metrics import r2_score

    predictions, references = _columns(rows)
    if (references == references.flat[0]).all():
        note = say("reason.metric_constant", name="r_squared", column="references", value=references.flat[0])
        return Outcome({"r_squared": float("nan")}, [note])
    value = float(r2_score(references, predictions))
    return Outcome({"r_squared": value}, [] if value else [say("reason.metric_mean_guess")])


def _pearsonr(rows: Rows, options: CorrelationOptions) -> Outcome:
    from scipy.stats import pearsonr

    return _correlation("pearsonr", "p-value", pearsonr, rows, options)


def _spearmanr(rows: Rows, options: CorrelationOptions) -> Outcome:
    from scipy.stats import spearmanr

    return _correlation("spearmanr", "spearmanr_pvalue", spearmanr, rows, options)


def _correlation(name: str, p_name: str, function: Any, rows: Rows, options: CorrelationOptions) -> Outcome:
    predictions, references = _columns(rows)
    note = _no_correlation(name, predictions, references)
    found = (float("nan"), float("nan")) if note else function(references, predictions)
    value, p_value = (float(one) for one in found[:2])
    values = {name: value, p_name: p_value} if options.return_pvalue else {name: value}
    if note or value:
        return Outcome(values, [note] if note else [])
    return Outcome(values, [say("reason.metric_no_relation", name=name)])


def _no_correlation(name: str, predictions: np.ndarray[Any, Any], references: np.ndarray[Any, Any]) -> Sentence | None:
    if len(references) < _FEWEST:
        return say("reason.metric_one_row", name=name)
    for column, values in (("predictions", predictions), ("references", references)):
        if (values == values.flat[0]).all():
            return say("reason.metric_constant", name=name, column=column, value=values.flat[0])
    return None


_SEVERAL = ("default", "multilist")

RECIPES = (
    Recipe("mse", LIBRARY, "", _mse, SquaredOptions, configs=_SEVERAL, lower_is_better=True),
    Recipe("mae", LIBRARY, "", _mae, ErrorOptions, configs=_SEVERAL, lower_is_better=True),
    Recipe("r_squared", LIBRARY, "sklearn.metrics.r2_score", _r_squared, bare=True),
    Recipe("pearsonr", "scipy", "scipy.stats.pearsonr", _pearsonr, CorrelationOptions),
    Recipe("spearmanr", "scipy", "scipy.stats.spearmanr", _spearmanr, CorrelationOptions),
)
"""The metrics of this file."""
