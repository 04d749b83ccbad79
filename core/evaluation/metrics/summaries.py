"""Summaries against summaries: ROUGE by rouge_score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.evaluation.columns import references_of, texts
from core.evaluation.metric import Outcome, Recipe, Rows
from core.evaluation.metrics.translations import nothing_common

TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@dataclass(frozen=True)
class RougeOptions:
    """Keywords of evaluate's rouge."""

    rouge_types: Sequence[str] | None = None
    use_aggregator: bool = True
    use_stemmer: bool = False
    tokenizer: Callable[[str], Sequence[str]] | None = None


@dataclass(frozen=True)
class _Tokenizer:
    function: Callable[[str], Sequence[str]]

    def tokenize(self, text: str) -> Sequence[str]:
        """Split as rouge_score asks for it."""
        return self.function(text)


def _rouge(rows: Rows, options: RougeOptions) -> Outcome:
    from rouge_score.rouge_scorer import RougeScorer

    types = list(options.rouge_types or TYPES)
    _refuse_unknown(types)
    predictions, references = texts(rows.predictions, "predictions"), references_of(rows.references)
    tokenizer = _Tokenizer(options.tokenizer) if options.tokenizer else None
    scorer = RougeScorer(types, use_stemmer=options.use_stemmer, tokenizer=tokenizer)
    scores = [
        scorer.score_multi(several, one) if len(several) > 1 else scorer.score(several[0], one)
        for several, one in zip(references, predictions, strict=True)
    ]
    values = _aggregated(scores) if options.use_aggregator else _each(scores)
    zero = [name for name in types if options.use_aggregator and not values[name]]
    notes = nothing_common(", ".join(zero), predictions) if zero else []
    used = {"rouge_types": types, "tokenizer": getattr(options.tokenizer, "__name__", "rouge_score's own")}
    return Outcome(values, notes, used=used)


def _aggregated(scores: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean F1 of each type: the middle of rouge_score's bootstrap, without its thousand draws."""
    return {name: sum(one[name].fmeasure for one in scores) / len(scores) for name in scores[0]}


def _each(scores: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    return {name: [one[name].fmeasure for one in scores] for name in scores[0]}


def _refuse_unknown(types: Sequence[str]) -> None:
    for name in types:
        if name not in TYPES and not (name.startswith("rouge") and name[5:].isdigit()):
            raise InvalidInput("error.not_an_option", name="rouge_types", value=name, options=", ".join(TYPES))


RECIPES = (Recipe("rouge", "rouge_score", "rouge_score.rouge_scorer.RougeScorer", _rouge, RougeOptions),)
"""The metrics of this file."""
