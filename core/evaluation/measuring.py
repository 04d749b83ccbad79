"""Each metric of an evaluation: its value by core.evaluation.load, and what it sums up, so that it can be resampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from core.errors import AtelierError
from core.evaluation import class_measures, text_measures
from core.evaluation.measured import Measured
from core.evaluation.resampling import divided
from core.evaluation.tasks import averaged, row_score_of
from core.training.data.prepared import WORDS

if TYPE_CHECKING:
    from core.evaluation.material import Material


def measure(name: str, material: Material) -> Measured:
    """Return one metric; where it refuses these answers, its words instead of numbers."""
    try:
        if named := averaged(name):
            return class_measures.class_scores(name, *named, material)
        return _FUNCTIONS[name](name, material)
    except AtelierError as problem:
        return Measured(name, {}, refusal=problem.sentence)


_FUNCTIONS: Mapping[str, Callable[[str, Material], Measured]] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "matthews_correlation"), class_measures.label_scores),
    "roc_auc": class_measures.roc_auc,
    "log_loss": class_measures.log_loss,
    "ece": class_measures.calibration,
    "seqeval": class_measures.seqeval,
    **dict.fromkeys(("squad", "squad_v2"), text_measures.squad),
    "rouge": text_measures.rouge,
    **dict.fromkeys(("sacrebleu", "chrf", "ter"), text_measures.sacrebleu),
    "exact_match": text_measures.exact_match,
    **dict.fromkeys(("bleu", "meteor"), text_measures.unresampled),
    "bertscore": text_measures.bertscore,
    **dict.fromkeys(("wer", "cer"), text_measures.error_rate),
    "perplexity": text_measures.expected_text,
    "bits_per_byte": text_measures.expected_bytes,
}


def row_scores(material: Material) -> list[float]:
    """Return how good each row is by itself, as core.evaluation.tasks.RowScore names it for the task and the data."""
    return [float(one) for one in _ROW_SCORES[row_score_of(material.task, material.shape).name](material)]


def _right(material: Material) -> Any:
    return [label == expected for label, expected in zip(material.labels, material.references, strict=True)]


def _overlap(material: Material) -> Any:
    """Return the F1 of each row's entities, or of its answer; a row with no entity where there is none is right."""
    if material.shape != WORDS:
        return material.squad(second=material.without_answer)[:, 1]
    right, found, wanted, _, _ = material.entities.T
    return divided(2 * right, found + wanted, 1.0)


def _likeness(material: Material) -> Any:
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    pairs = zip(material.answers, material.references, strict=True)
    return [metric.sentence_score(answer, [expected]).score for answer, expected in pairs]


def _surprise(material: Material) -> Any:
    loss, tokens, sizes = text_measures.losses_in(material)
    return divided(loss * tokens, sizes, 0.0) / math.log(2)


_ROW_SCORES: Mapping[str, Callable[[Material], Any]] = {
    "right": _right,
    "f1": _overlap,
    "rougeL": lambda material: material.rouge["rougeL"],
    "chrf": _likeness,
    "bits_per_byte": _surprise,
}
