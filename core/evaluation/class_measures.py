"""Metrics of labels, of their probabilities and of tagged words, with what they sum up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.label_sums import label_tally, token_tally
from core.evaluation.loading import load
from core.evaluation.measured import Measured, measured_by
from core.evaluation.resampling import mean_tally, ratio_tally, tally

if TYPE_CHECKING:
    from core.evaluation.material import Material

BINS = 10
"""Of the calibration error, as evaluate's ece has it."""
_TWO = 2


def class_scores(name: str, metric: str, average: str, material: Material) -> Measured:
    """Measure precision, recall or F1 under one of their averages."""
    found = load(metric).compute(predictions=material.labels, references=material.references, average=average)
    done = measured_by(name, found, {metric: label_tally(material.classes, metric, average)}, (metric,))
    if name == metric:
        return done
    renamed = {metric: name}
    return Measured(
        name,
        {renamed[key]: value for key, value in done.values.items()},
        {renamed[key]: one for key, one in done.tallies.items()},
        done.implementation,
        done.notes,
    )


def label_scores(name: str, material: Material) -> Measured:
    """Measure labels against labels."""
    found = load(name).compute(predictions=material.labels, references=material.references)
    return measured_by(name, found, {name: label_tally(material.classes, name)})


def roc_auc(name: str, material: Material) -> Measured:
    """Rank by the probability of the second of two labels; of more, each against the rest."""
    _refuse_untold(material)
    if len(material.names) == _TWO:
        scores = {"prediction_scores": material.probabilities[:, 1], "references": material.expected}
        return measured_by(name, load(name).compute(**scores), {})
    found = load(name, "multiclass").compute(
        prediction_scores=material.probabilities,
        references=material.expected,
        labels=list(range(len(material.names))),
        multi_class="ovr",
    )
    return measured_by(name, found, {})


def log_loss(name: str, material: Material) -> Measured:
    """Measure the mean of -log p of the right label."""
    import numpy as np

    _refuse_untold(material)
    labels = list(range(len(material.names)))
    found = load(name).compute(predictions=material.probabilities, references=material.expected, labels=labels)
    chances = material.probabilities / material.probabilities.sum(axis=1, keepdims=True)
    told = chances[np.arange(len(chances)), material.expected]
    least = np.finfo(chances.dtype).eps
    return measured_by(name, found, {name: mean_tally(-np.log(np.clip(told, least, 1 - least)))})


def calibration(name: str, material: Material) -> Measured:
    """Measure how far confidence is from accuracy, over tenths of confidence."""
    import numpy as np

    _refuse_untold(material)
    found = load(name).compute(
        predictions=material.probabilities,
        references=material.expected,
        labels=list(range(len(material.names))),
        n_bins=BINS,
    )
    right, confidence = confidences(material)
    gaps = np.zeros((len(right), BINS + 1))
    gaps[np.arange(len(right)), bins_of(confidence)] = right - confidence
    gaps[:, -1] = 1
    return measured_by(name, found, {name: tally(gaps, lambda sums: np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1])})


def confidences(material: Material) -> tuple[Any, Any]:
    """Return for each row whether the likeliest label is right, and its probability: (rows,) each."""
    chances = material.probabilities / material.probabilities.sum(axis=1, keepdims=True)
    best = chances.argmax(axis=1)
    return (best == material.expected).astype(float), chances.max(axis=1)


def bins_of(confidence: Any) -> Any:
    """Return the bin of each probability; all are as wide as each other, and hold their lower end."""
    import numpy as np

    edges = np.linspace(0, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, BINS - 1)


def _refuse_untold(material: Material) -> None:
    """Refuse where a model has no probability for a label that is right."""
    if (material.expected < 0).any():
        told = ", ".join(material.names[:20])
        strange = next(label for label in material.references if label not in material.names)
        raise InvalidInput("error.evaluate_no_probability", label=strange, labels=told)


def seqeval(name: str, material: Material) -> Measured:
    """Measure entities, whole ones only, and tagged words."""
    found = load(name).compute(predictions=list(material.answers), references=material.references)
    right, predicted, wanted, words_right, words = material.entities.T
    keys = {f"overall_{one}": token_tally(right, predicted, wanted, one) for one in ("f1", "precision", "recall")}
    keys["overall_accuracy"] = ratio_tally(words_right, words)
    return measured_by(name, found, keys, tuple(keys))
