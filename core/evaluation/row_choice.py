"""Which rows of an evaluation are shown: the worst of a model, those it wins or loses, those of a matrix's cell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput, UnknownName
from core.evaluation.comparison import SAME
from core.evaluation.reading import kind_of
from core.evaluation.row_table import columns_of
from core.evaluation.settings import MOST_MODELS
from core.fields import choice, enforce, number, text
from core.settings import LIMITS
from core.training.data.prepared import WORDS

WORST, BEST, WON, LOST, IN_ORDER = ORDERS = ("worst", "best", "won", "lost", "in_order")
_PARTS = ("prediction", "score", "problem", "detail")
_LONGEST_NAME = 2_000

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RowChoice:
    """Which rows, in which order; `model` "" is the first one."""

    model: str = text(limit=_LONGEST_NAME, optional=True)
    other_model: str = text(limit=_LONGEST_NAME, optional=True)
    """Stands beside it; needed for what is won or lost."""
    order: str = choice(WORST, ORDERS)
    expected: str = text(limit=LIMITS.text_characters, optional=True)
    """Only rows with this label, or with a word of this kind."""
    predicted: str = text(limit=LIMITS.text_characters, optional=True)
    """Only rows (or words) that were answered so."""
    first: int = number(1, low=1, high=LIMITS.batch_rows)
    """The first one that is shown, counted from 1."""

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits."""
        enforce(self)


@dataclass(frozen=True)
class ChosenRows:
    """A page of rows."""

    rows: Sequence[dict[str, Any]]
    """Each {row, input, reference, expected, answers}; `answers`: model → {prediction, score, problem, detail}."""
    total: int
    """How many there are altogether."""
    first: int
    models: tuple[str, ...]


def choose_rows(
    lines: Sequence[Line], told: Mapping[str, Any], wanted: RowChoice, most: int = LIMITS.table_preview_rows
) -> ChosenRows:
    """Return a page of `most` rows; `lines` are those of rows.parquet, `told` is evaluation.json.

    Raises UnknownName for a model that was not evaluated, and InvalidInput where won or lost against nobody is asked.
    """
    models = _models(told, wanted)
    sort = _Sort(models, bool(told["row_score"]["lower_is_better"]))
    fits = _cell(wanted, told["data"]["shape"], models[0])
    found = sort.sorted([line for line in lines if fits(line)], wanted.order)
    start = min(wanted.first, max(len(found), 1)) - 1
    return ChosenRows([_row(line, models) for line in found[start : start + most]], len(found), start + 1, models)


def evaluated(told: Mapping[str, Any]) -> list[str]:
    """Return the names of the models that have numbers."""
    return [one["name"] for one in told["models"] if one.get("n")][:MOST_MODELS]


def _models(told: Mapping[str, Any], wanted: RowChoice) -> tuple[str, ...]:
    names = evaluated(told)
    model = wanted.model or next(iter(names), "")
    for name in (model, *filter(None, [wanted.other_model])):
        if name not in names:
            raise UnknownName("error.evaluate_no_such_model", model=name, names=", ".join(names))
    alone = wanted.other_model in ("", model)
    if alone and wanted.order in (WON, LOST):
        raise InvalidInput("error.evaluate_rows_need_other", order=wanted.order)
    return (model,) if alone else (model, wanted.other_model)


@dataclass(frozen=True)
class _Sort:
    """Orders lines by the score of the first model, or by how far it is from the second's."""

    models: tuple[str, ...]
    lower_is_better: bool

    def sorted(self, lines: Sequence[Line], order: str) -> list[Line]:
        if order == IN_ORDER:
            return list(lines)
        if order in (WON, LOST):
            return self._won(lines, 1 if order == WON else -1)
        answered = [line for line in lines if self._worth(line, 0) is not None]
        answered.sort(key=lambda line: (self._worth(line, 0), self._sure(line)), reverse=order == BEST)
        return [*answered, *(line for line in lines if self._worth(line, 0) is None)]

    def _won(self, lines: Sequence[Line], sign: int) -> list[Line]:
        """Return the lines on which the first model is ahead (or behind, for -1), the clearest first."""
        worths = [(self._worth(line, 0), self._worth(line, 1), line) for line in lines]
        gaps = [(sign * (one - other), line) for one, other, line in worths if one is not None and other is not None]
        return [line for gap, line in sorted(gaps, key=lambda pair: -pair[0]) if gap > SAME]

    def _sure(self, line: Line) -> float:
        """Return how likely the right label was held to be: of wrong rows the surest are the worst; 0 for texts."""
        detail = json.loads(str(line.get(columns_of(self.models[0])[-1]) or "0"))
        scores = detail.get("scores") if isinstance(detail, dict) else None
        return float(scores.get(str(line["reference"]), 0.0)) if isinstance(scores, dict) else 0.0

    def _worth(self, line: Line, place: int) -> float | None:
        """Return a score that is higher the better; None for a row without an answer."""
        score = line.get(f"{self.models[place]} score")
        if score is None:
            return None
        return -float(score) if self.lower_is_better else float(score)


def _cell(wanted: RowChoice, shape: str, model: str) -> Callable[[Line], bool]:
    """Return what tells whether a line belongs to a cell of the confusion matrix; to no cell in particular, all do."""
    if not wanted.expected and not wanted.predicted:
        return lambda _: True

    def fits(pair: tuple[Any, Any]) -> bool:
        expected, predicted = pair
        return wanted.expected in ("", expected) and wanted.predicted in ("", predicted)

    return lambda line: any(fits(pair) for pair in _pairs(line, shape, model))


def _pairs(line: Line, shape: str, model: str) -> list[tuple[str, str]]:
    """Return (expected, answered) of a line: one pair of labels, or one of each word's kind."""
    prediction, detail = (line.get(name) for name in columns_of(model)[::3])
    if detail is None:
        return []
    if shape == WORDS:
        tags = zip(json.loads(str(line["expected"])), json.loads(str(detail)), strict=True)
        return [(kind_of(expected), kind_of(answered)) for expected, answered in tags]
    return [(str(line["reference"]), str(prediction))]


def _row(line: Line, models: Sequence[str]) -> dict[str, Any]:
    answers = {
        model: dict(zip(_PARTS, (line.get(name) for name in columns_of(model)), strict=True)) for model in models
    }
    return {**{name: line[name] for name in ("row", "input", "reference", "expected")}, "answers": answers}
