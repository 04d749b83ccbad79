"""What a page draws of an evaluation, as plain data: tables of classes, curves, and scores against lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.evaluation.class_measures import BINS, bins_of, confidences
from core.evaluation.label_sums import per_class
from core.training.data.prepared import LABELS, WORDS

if TYPE_CHECKING:
    import numpy as np

    from core.evaluation.label_sums import Classes
    from core.evaluation.material import Material

MOST_POINTS = 200
"""Of a curve; more are not told apart on a screen."""
MOST_CURVES = 10
"""Classes that have curves of their own, the most frequent ones."""
MOST_MATRIX = 50
"""Classes up to which a confusion matrix is kept."""
GROUPS = 10
"""Groups of rows by their length, as many rows in each."""
_TWO = 2


def charts_of(material: Material, scores: Sequence[float]) -> dict[str, Any]:
    """Return the data of all charts that fit the answers; `scores` are those of the rows, in order."""
    found: dict[str, Any] = {"lengths": by_length(material.inputs, scores)}
    if material.shape in (LABELS, WORDS):
        found["per_class"] = per_class(material.classes)
        found["confusion"] = confusion(material.classes)
    if material.shape == LABELS and len(material.names) >= _TWO and (material.expected >= 0).all():
        found["reliability"] = reliability(material)
        found["curves"] = curves(material)
    return found


def confusion(classes: Classes) -> dict[str, Any] | None:
    """Return {labels, matrix}: a row for each label that is right, a column for each that was answered."""
    if len(classes.names) > MOST_MATRIX:
        return None
    return {"labels": list(classes.names), "matrix": classes.matrix.tolist()}


def reliability(material: Material) -> list[dict[str, Any]]:
    """Return for each tenth of confidence how many rows fell there, how sure they were, and how often right."""
    import numpy as np

    right, confidence = confidences(material)
    bins = bins_of(confidence)
    counts = np.bincount(bins, minlength=BINS)
    sums = {
        "confidence": np.bincount(bins, weights=confidence, minlength=BINS),
        "accuracy": np.bincount(bins, weights=right, minlength=BINS),
    }
    return [
        {
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "count": int(count),
            **{name: float(column[place] / count) if count else None for name, column in sums.items()},
        }
        for place, count in enumerate(counts)
    ]


def curves(material: Material) -> list[dict[str, Any]]:
    """Return ROC and precision-recall points of each label against the rest; of two labels, of the second alone.

    A label that all rows have, or none, has no curves.
    """
    import numpy as np

    counts = np.bincount(material.expected, minlength=len(material.names))
    places = [1] if len(material.names) == _TWO else np.argsort(-counts, kind="stable")[:MOST_CURVES].tolist()
    return [_curves_of(material, place) for place in places if 0 < counts[place] < len(material.expected)]


def _curves_of(material: Material, place: int) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    right, chances = material.expected == place, material.probabilities[:, place]
    false_rate, true_rate, _ = roc_curve(right, chances)
    precision, recall, _ = precision_recall_curve(right, chances)
    return {
        "label": material.names[place],
        "roc": {"fpr": thinned(false_rate), "tpr": thinned(true_rate), "auc": float(roc_auc_score(right, chances))},
        "pr": {
            "recall": thinned(recall),
            "precision": thinned(precision),
            "average_precision": float(average_precision_score(right, chances)),
        },
    }


def thinned(values: np.ndarray[Any, Any], most: int = MOST_POINTS) -> list[float]:
    """Return at most so many values, evenly taken, the first and the last among them."""
    import numpy as np

    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [float(one) for one in values[places]]


def by_length(inputs: Sequence[str], scores: Sequence[float]) -> list[dict[str, Any]]:
    """Return the mean score of rows of like length (characters of the input), the shortest first."""
    import numpy as np

    lengths = np.array([len(one) for one in inputs])
    values = np.array(scores, float)
    order = np.argsort(lengths, kind="stable")
    parts = [part for part in np.array_split(order, min(GROUPS, len(order))) if len(part)]
    return [
        {
            "low": int(lengths[part].min()),
            "high": int(lengths[part].max()),
            "count": len(part),
            "score": float(values[part].mean()),
        }
        for part in parts
    ]
