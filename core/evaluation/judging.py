"""One model's replies, read in the data's words and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import InvalidInput
from core.evaluation.answering import Answered
from core.evaluation.comparison import Side
from core.evaluation.data import EvaluationData
from core.evaluation.material import Material
from core.evaluation.measured import Measured
from core.evaluation.measuring import measure, row_scores
from core.evaluation.reading import Reader, are_plain, entity_types, names_for
from core.evaluation.settings import EvaluateSettings, label_pairs
from core.training.data.prepared import LABELS, WORDS


@dataclass(frozen=True)
class Judged:
    """One model's answers, read and measured; `places` are those of the rows that it answered."""

    model: str
    answered: Answered
    material: Material
    places: tuple[int, ...]
    measured: tuple[Measured, ...]
    scores: tuple[float, ...]


def judge(
    label: str,
    answered: Answered,
    data: EvaluationData,
    reader: Reader,
    empty: Material,
    metrics: Sequence[str],
) -> Judged:
    """Read a model's replies and measure them; raises InvalidInput where it answered no row at all."""
    places = tuple(place for place, reply in enumerate(answered.replies) if reply.problem is None)
    if not places:
        raise InvalidInput("error.evaluate_nothing_answered", model=label, problem=answered.replies[0].problem)
    rows = [data.rows[place] for place in places]
    answers = [reader.answer(answered.replies[place].result, row) for place, row in zip(places, rows, strict=True)]
    material = replace(empty, rows=rows, answers=answers)
    measured = tuple(measure(name, material) for name in metrics)
    return Judged(label, answered, material, places, measured, tuple(row_scores(material)))


def reader_for(data: EvaluationData, settings: EvaluateSettings, answered: Answered, label: str) -> Reader:
    """Return what reads a model's results in the data's words; raises InvalidInput for labels that it lacks."""
    if data.shape not in (LABELS, WORDS):
        return Reader(data.shape)
    offered: Sequence[str] = answered.answerer.labels
    told = label_pairs(settings.labels)
    if data.shape == LABELS:
        return Reader(data.shape, names_for(data.labels, offered, told, label))
    tags = [tag for row in data.rows for tag in row["tags"]]
    names = names_for(entity_types(tags), entity_types(offered), told, label)
    return Reader(data.shape, names, are_plain(tags))


def side_of(judged: Judged, both: Sequence[int]) -> Side:
    """Return a model's part over these rows only."""
    import numpy as np

    own = {place: number for number, place in enumerate(judged.places)}
    numbers = np.array([own[place] for place in both], int)
    measured = [
        replace(one, tallies={key: tally.of(numbers) for key, tally in one.tallies.items()}) for one in judged.measured
    ]
    return Side(judged.model, measured, [judged.scores[number] for number in numbers])
