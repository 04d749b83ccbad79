"""Metrics of answers, of written texts and of expected ones, with what they sum up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.evaluation.loading import load
from core.evaluation.losses import scores_of_loss
from core.evaluation.measured import Measured, measured_by
from core.evaluation.resampling import Tally, mean_tally, ratio_tally, tally
from core.words import Sentence

if TYPE_CHECKING:
    from core.evaluation.material import Material
    from core.evaluation.resampling import Table


def squad(name: str, material: Material) -> Measured:
    """Count as SQuAD does; where some questions have no answer, as its second version."""
    both = name == "squad_v2" or material.without_answer
    references = [
        {"id": str(place), "answers": {"text": answers, "answer_start": [0] * len(answers)}}
        for place, answers in enumerate(material.references)
    ]
    predictions = [
        {"id": str(place), "prediction_text": text, **({"no_answer_probability": float(not text)} if both else {})}
        for place, text in enumerate(material.answers)
    ]
    metric = "squad_v2" if both else "squad"
    found = load(metric).compute(predictions=predictions, references=references)
    exact, overlap = (mean_tally(column, 100.0) for column in material.squad(second=both).T)
    return measured_by(metric, found, {"f1": overlap, "exact" if both else "exact_match": exact}, ("f1",))


def rouge(name: str, material: Material) -> Measured:
    """Measure ROUGE: means over rows."""
    found = material.rouge
    tallies = {key: mean_tally(found[key]) for key in ("rougeL", "rouge1", "rouge2", "rougeLsum")}
    values = {key: one.value for key, one in tallies.items()}
    notes: tuple[Sentence, ...] = ()
    if not all(values.values()):  # the metric's own words for a score of 0
        notes = load(name).compute(predictions=material.answers, references=material.references).notes
    return Measured(name, values, tallies, found.implementation.as_dict(), notes)


def sacrebleu(name: str, material: Material) -> Measured:
    """Resample what sacreBLEU itself sums up of each sentence, as its own bootstrap does."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    references = [[one] for one in material.references]
    found = load(name).compute(predictions=material.answers, references=references)
    own = {"sacrebleu": BLEU, "chrf": CHRF, "ter": TER}[name]()
    stats = own._extract_corpus_statistics(list(material.answers), [list(material.references)])  # noqa: SLF001
    return measured_by(name, found, {"score": tally(stats, _each(own))}, ("score",))


def _each(metric: Any) -> Callable[[Table], Table]:
    """Return what scores sums one by one: sacreBLEU has no table of them."""
    import numpy as np

    def score(sums: Table) -> Table:
        return np.array([metric._compute_score_from_stats(one.tolist()).score for one in sums])  # noqa: SLF001

    return score


def exact_match(name: str, material: Material) -> Measured:
    """For metrics that are a mean over rows, each of which is scored by itself."""
    found = load(name, registry=material.registry).compute(
        predictions=list(material.answers), references=list(material.references)
    )
    return measured_by(name, found, {name: mean_tally(_same(material))})


def _same(material: Material) -> list[float]:
    return [float(one == other) for one, other in zip(material.answers, material.references, strict=True)]


def unresampled(name: str, material: Material) -> Measured:
    """For metrics of all rows together that nobody resamples cheaply."""
    references = [[one] for one in material.references]
    return measured_by(name, load(name).compute(predictions=list(material.answers), references=references), {}, (name,))


def bertscore(name: str, material: Material) -> Measured:
    """Measure likeness in meaning: means over rows."""
    columns = {"predictions": list(material.answers), "references": list(material.references)}
    found = load(name, registry=material.registry).compute(**columns)
    tallies = {key: mean_tally(found[key]) for key in ("f1", "precision", "recall")}
    values = {key: one.value for key, one in tallies.items()}
    return Measured(name, values, tallies, found.implementation.as_dict(), found.notes)


def error_rate(name: str, material: Material) -> Measured:
    """Count wrong words, or characters, row by row."""
    from jiwer import process_characters, process_words

    found = load(name).compute(predictions=list(material.answers), references=list(material.references))
    process: Any = process_words if name == "wer" else process_characters
    rows = [process(expected, given) for given, expected in zip(material.answers, material.references, strict=True)]
    wrong = [one.substitutions + one.deletions + one.insertions for one in rows]
    said = [one.hits + one.substitutions + one.deletions for one in rows]
    return measured_by(name, found, {name: ratio_tally(wrong, said)})


def expected_text(name: str, material: Material) -> Measured:
    """Return exp of the mean loss over all tokens, as the trainer's evaluations have it, and not a mean over texts."""
    import numpy as np

    loss, tokens, _ = losses_in(material)
    mean = float((loss * tokens).sum() / tokens.sum())
    found = scores_of_loss(mean)
    parts = np.column_stack([loss * tokens, tokens])
    return _of_loss(name, found, tally(parts, lambda sums: np.exp(np.minimum(sums[:, 0] / sums[:, 1], 700))))


def expected_bytes(name: str, material: Material) -> Measured:
    """Measure the bits that a byte of text takes, which compares across tokenizers."""
    loss, tokens, sizes = losses_in(material)
    mean = float((loss * tokens).sum() / tokens.sum())
    found = scores_of_loss(mean, int(tokens.sum()), int(sizes.sum()))
    return _of_loss(name, found, ratio_tally(loss * tokens, sizes, 1 / math.log(2)))


def _of_loss(name: str, found: Any, resampled: Tally) -> Measured:
    value = found[name]
    return Measured(
        name, {name: float(value)}, {name: resampled}, found.implementation.as_dict(), found.notes, lower_is_better=True
    )


def losses_in(material: Material) -> tuple[Any, Any, Any]:
    """Return mean loss in nats a token, tokens and bytes of each row: (rows,) each."""
    import numpy as np

    columns = ([one[key] for one in material.answers] for key in ("loss", "tokens", "bytes"))
    loss, tokens, sizes = (np.array(column, float) for column in columns)
    return loss, tokens, sizes
