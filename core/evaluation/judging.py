"""One model's replies, read in the data's words and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.errors import InvalidInput
from core.evaluation.answering import Answered, Bench, answer_all
from core.evaluation.comparison import Comparison, Side, compare
from core.evaluation.data import EvaluationData
from core.evaluation.material import Material
from core.evaluation.measured import Measured
from core.evaluation.measuring import measure, row_scores
from core.evaluation.predictions import Answerer
from core.evaluation.reading import Reader, are_plain, entity_types, names_for
from core.evaluation.settings import EvaluateSettings, label_pairs
from core.evaluation.tasks import row_score_of
from core.training.data.prepared import LABELS, WORDS

if TYPE_CHECKING:
    from core.catalogue import ModelSpec


@dataclass(frozen=True)
class Scored:
    """One model's answers, measured; `places` are those of the rows that it answered."""

    model: str
    material: Material
    places: tuple[int, ...]
    measured: tuple[Measured, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Judged(Scored):
    """The same, with the replies that it was read from."""

    answered: Answered


def evaluate_model(
    label: str, spec: ModelSpec, settings: EvaluateSettings, data: EvaluationData, metrics: Sequence[str], bench: Bench
) -> Judged:
    """Ask a model for what is not kept of its answers to the data, read them in the data's words, and measure them.

    `label`: what it is called; `metrics`: see core.evaluation.tasks.metrics_for. Raises what `answer_all` does, and
    InvalidInput for labels that the model lacks, before it is asked, and where it answered no row at all.
    """

    def reader(answerer: Answerer) -> Reader:
        return reader_for(data, settings, answerer, label)

    answered = answer_all(spec, settings, data, replace(bench, check=reader))
    places = tuple(place for place, reply in enumerate(answered.replies) if reply.problem is None)
    if not places:
        raise InvalidInput("error.evaluate_nothing_answered", model=label, problem=answered.replies[0].problem)
    read, rows = reader(answered.answerer), [data.rows[place] for place in places]
    answers = [read.answer(answered.replies[place].result, row) for place, row in zip(places, rows, strict=True)]
    material = Material(settings.task, data.shape, rows, answers, bench.registry)
    found = score(label, material, places, metrics)
    return Judged(label, material, places, found.measured, found.scores, answered)


def score(label: str, material: Material, places: tuple[int, ...], metrics: Sequence[str]) -> Scored:
    """Measure answers, and each row by itself."""
    measured = tuple(measure(name, material) for name in metrics)
    return Scored(label, material, places, measured, tuple(row_scores(material)))


def reader_for(data: EvaluationData, settings: EvaluateSettings, answerer: Answerer, label: str) -> Reader:
    """Return what reads a model's results in the data's words; raises InvalidInput for labels that it lacks."""
    if data.shape not in (LABELS, WORDS):
        return Reader(data.shape)
    told = label_pairs(settings.labels)
    if data.shape == LABELS:
        return Reader(data.shape, names_for(data.labels, answerer.labels, told, label))
    tags = [tag for row in data.rows for tag in row["tags"]]
    names = names_for(entity_types(tags), entity_types(answerer.labels), told, label)
    return Reader(data.shape, names, are_plain(tags))


def compare_scored(first: Scored, second: Scored, rows: int, draws: int, seed: int) -> Comparison | None:
    """Compare two models over the rows that both have answered, of so many; None where there is no such row."""
    both = sorted({*first.places} & {*second.places})
    if not both:
        return None
    row_score = row_score_of(first.material.task, first.material.shape)
    found = compare(_side(first, both), _side(second, both), row_score, draws, seed)
    return replace(found, left_out=rows - len(both))


def _side(judged: Scored, both: Sequence[int]) -> Side:
    """Return a model's part over these rows only."""
    import numpy as np

    own = {place: number for number, place in enumerate(judged.places)}
    numbers = np.array([own[place] for place in both], int)
    measured = [
        replace(one, tallies={key: tally.of(numbers) for key, tally in one.tallies.items()}) for one in judged.measured
    ]
    return Side(judged.model, measured, [judged.scores[number] for number in numbers])
