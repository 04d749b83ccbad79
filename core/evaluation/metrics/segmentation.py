"""Maps of labels against maps of labels: mean intersection over union."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np

_BACKGROUND = 255
"""What label 0 becomes under reduce_labels, as in MMSegmentation."""
_MATRIX = 2


@dataclass(frozen=True)
class SegmentationOptions:
    """Keywords of evaluate's mean_iou; num_labels and ignore_index must be given, as there."""

    num_labels: int | None = None
    ignore_index: int | None = None
    nan_to_num: float | None = None
    label_map: Mapping[int, int] | None = None
    reduce_labels: bool = False


def _mean_iou(rows: Rows, options: SegmentationOptions) -> Outcome:
    import numpy as np

    labels = _required(options)
    areas = np.zeros((3, labels))  # in both, predicted, expected; pixels of each label
    for row, (predicted, expected) in enumerate(zip(rows.predictions, rows.references, strict=True), 1):
        areas += _areas(_map(predicted, "predictions", row), _map(expected, "references", row), options, row)
    both, predicted, expected = areas
    iou, accuracy = _ratios(both, predicted + expected - both), _ratios(both, expected)
    values: dict[str, Any] = {
        "mean_iou": _mean(iou),
        "mean_accuracy": _mean(accuracy),
        "overall_accuracy": float(both.sum() / expected.sum()) if expected.sum() else float("nan"),
        "per_category_iou": iou,
        "per_category_accuracy": accuracy,
    }
    if options.nan_to_num is not None:
        values = {name: np.nan_to_num(value, nan=options.nan_to_num) for name, value in values.items()}
    return Outcome(values, _notes(both, predicted, expected))


def _required(options: SegmentationOptions) -> int:
    for name in ("num_labels", "ignore_index"):
        if getattr(options, name) is None:
            raise InvalidInput("error.metric_missing", name="mean_iou", columns=name)
    if options.num_labels is None or options.num_labels < 1:
        raise InvalidInput("error.number_outside", name="num_labels", value=options.num_labels, low=1, high=10_000)
    return options.num_labels


def _map(value: Any, column: str, row: int) -> np.ndarray[Any, Any]:
    import numpy as np

    found = np.asarray(value)
    if found.ndim != _MATRIX or found.dtype.kind not in "iub":
        raise InvalidInput("error.metric_not_a_map", column=column, row=row, shape=found.shape)
    return found.astype(np.int64)


def _areas(
    predicted: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], options: SegmentationOptions, row: int
) -> np.ndarray[Any, Any]:
    """Count the pixels of each label in both maps, in the predicted and in the expected one: (3, labels)."""
    import numpy as np

    if predicted.shape != expected.shape:
        raise InvalidInput("error.metric_map_sizes", row=row, predicted=predicted.shape, expected=expected.shape)
    expected = _renamed(expected, options)
    counted = expected != options.ignore_index
    predicted, expected = predicted[counted], expected[counted]
    groups = (predicted[predicted == expected], predicted, expected)
    return np.stack([_counts(group, options.num_labels or 0) for group in groups])


def _renamed(expected: np.ndarray[Any, Any], options: SegmentationOptions) -> np.ndarray[Any, Any]:
    renamed = expected.copy()
    for old, new in (options.label_map or {}).items():
        renamed[expected == int(old)] = new
    if not options.reduce_labels:
        return renamed
    renamed[(renamed == 0) | (renamed == _BACKGROUND)] = _BACKGROUND + 1
    return renamed - 1


def _counts(values: np.ndarray[Any, Any], labels: int) -> np.ndarray[Any, Any]:
    """Count each label from 0 on; what lies outside counts nowhere."""
    import numpy as np

    counts: np.ndarray[Any, Any] = np.bincount(values[(values >= 0) & (values < labels)], minlength=labels)
    return counts


def _ratios(part: np.ndarray[Any, Any], whole: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    ratios = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratios, where=whole > 0)
    return ratios


def _mean(ratios: np.ndarray[Any, Any]) -> float:
    import numpy as np

    known = ratios[~np.isnan(ratios)]
    return float(known.mean()) if len(known) else float("nan")


def _notes(
    both: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]
) -> list[Sentence]:
    absent = [str(place) for place in ((predicted + expected) == 0).nonzero()[0]]
    notes = [say("reason.metric_label_absent", name="mean_iou", labels=", ".join(absent))] if absent else []
    if not expected.sum():
        return [*notes, say("reason.metric_all_ignored")]
    if not both.sum():
        notes.append(say("reason.metric_no_pixel_right", count=int(expected.sum())))
    return notes


RECIPES = (Recipe("mean_iou", "numpy", "numpy.bincount", _mean_iou, SegmentationOptions),)
"""The metrics of this file."""
