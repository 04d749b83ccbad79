"""Columns as the libraries want them; what cannot be scored is refused by column and row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

_WORDS, _NUMBERS = "U", "iub"
"""Kinds of NumPy's dtypes: text, and whole numbers and booleans."""


def array(column: Any, name: str) -> np.ndarray[Any, Any]:
    """Return a column as an array; raises InvalidInput with the row where a value is missing or NaN."""
    import numpy as np

    column = column.detach().cpu() if hasattr(column, "detach") else column
    try:
        values = np.asarray(column)
    except ValueError as ragged:
        raise InvalidInput("error.metric_ragged", column=name) from ragged
    if values.dtype.kind == "O":
        _refuse_missing(column, name)
        values = np.asarray(list(column))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InvalidInput("error.metric_not_finite", column=name, row=row + 1, value=values[row])
    return values


def numbers(column: Any, name: str) -> np.ndarray[Any, Any]:
    """Return a column of numbers as floats; raises InvalidInput where it holds anything else."""
    values = array(column, name)
    if values.dtype.kind not in "iubf":
        raise InvalidInput("error.metric_not_numbers", column=name, value=_first(values))
    return values.astype(float)


def labels(column: Any, name: str) -> np.ndarray[Any, Any]:
    """Return a column of labels: whole numbers, or words; raises InvalidInput for scores and anything else."""
    values = array(column, name)
    if values.dtype.kind == "f" and (values == values.round()).all():
        values = values.astype(int)
    if values.dtype.kind not in _WORDS + _NUMBERS:
        raise InvalidInput("error.metric_not_labels", column=name, value=_first(values))
    return values.astype(int) if values.dtype.kind == "b" else values


def label_pair(predictions: Any, references: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return both columns of labels; raises InvalidInput if one holds words and the other numbers, or shapes differ."""
    predicted, expected = labels(predictions, "predictions"), labels(references, "references")
    if (predicted.dtype.kind == "U") != (expected.dtype.kind == "U"):
        raise InvalidInput("error.metric_label_kinds", prediction=_first(predicted), reference=_first(expected))
    if predicted.shape != expected.shape:
        shapes = f"{predicted.shape} ≠ {expected.shape}"
        raise InvalidInput("error.metric_shapes", shapes=shapes)
    return predicted, expected


def texts(column: Any, name: str) -> list[str]:
    """Return a column of texts; raises InvalidInput with the row of anything else."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    for row, value in enumerate(values, 1):
        if not isinstance(value, str):
            _refuse_row(value, name, row)
    return values


def references_of(column: Any, name: str = "references") -> list[list[str]]:
    """Return the references of each row as a list; one reference alone may stand without its list."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [_several(value, name, row) for row, value in enumerate(values, 1)]


def transposed(references: Sequence[Sequence[str]], name: str) -> list[list[str]]:
    """Turn the references of each row into columns of references, as sacreBLEU reads them.

    Raises InvalidInput where rows have different numbers of references.
    """
    counts = Counter(map(len, references))
    if len(counts) > 1:
        told = ", ".join(str(count) for count in sorted(counts))
        raise InvalidInput("error.metric_reference_counts", name=name, counts=told)
    return [list(column) for column in zip(*references, strict=True)]


def empty_rows(values: Iterable[str]) -> int:
    """Count texts in which nothing stands."""
    return sum(not value.strip() for value in values)


def _several(value: Any, name: str, row: int) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        _refuse_row(value, name, row)
    if not value:
        raise InvalidInput("error.metric_missing_value", column=name, row=row)
    return texts(value, f"{name} ({row})")


def _refuse_missing(column: Any, name: str) -> None:
    kinds = set()
    for row, value in enumerate(column, 1):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            raise InvalidInput("error.metric_missing_value", column=name, row=row)
        kinds.add(isinstance(value, Number))
    if len(kinds) > 1:
        raise InvalidInput("error.metric_mixed", column=name)


def _refuse_row(value: Any, name: str, row: int) -> None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise InvalidInput("error.metric_missing_value", column=name, row=row)
    raise InvalidInput("error.metric_not_text", column=name, row=row, value=str(value)[:50])


def _first(values: np.ndarray[Any, Any]) -> Any:
    """Return the first value to show; what no dtype holds (a dictionary, 10**400) is an object of Python's own."""
    if not values.size:
        return ""
    one = values.flat[0]
    return one.item() if hasattr(one, "item") else str(one)[:50]
