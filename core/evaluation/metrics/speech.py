"""Transcripts against transcripts: errors by words and by characters, by jiwer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.evaluation.columns import empty_rows, texts
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say


@dataclass(frozen=True)
class ErrorRateOptions:
    """Keyword of evaluate's wer and cer; with jiwer 4 both ways count the same errors over the same words."""

    concatenate_texts: bool = False


def _wer(rows: Rows, _: ErrorRateOptions) -> Outcome:
    from jiwer import process_words

    return _rate("wer", process_words, rows)


def _cer(rows: Rows, _: ErrorRateOptions) -> Outcome:
    from jiwer import process_characters

    return _rate("cer", process_characters, rows)


def _rate(name: str, process: Any, rows: Rows) -> Outcome:
    predictions, references = texts(rows.predictions, "predictions"), texts(rows.references, "references")
    if empty_rows(references) == len(references):
        raise InvalidInput("error.metric_no_words", name=name)
    found = process(references, predictions)
    wrong = found.substitutions + found.deletions + found.insertions
    value = wrong / (found.hits + found.substitutions + found.deletions)
    return Outcome({name: value}, _notes(name, predictions, value))


def _notes(name: str, predictions: list[str], value: float) -> list[Sentence]:
    empty = empty_rows(predictions)
    notes = [say("reason.metric_empty_predictions", count=empty, rows=len(predictions))] if empty else []
    return notes if value else [*notes, say("reason.metric_perfect", name=name)]


RECIPES = (
    Recipe("wer", "jiwer", "jiwer.process_words", _wer, ErrorRateOptions, lower_is_better=True, bare=True),
    Recipe("cer", "jiwer", "jiwer.process_characters", _cer, ErrorRateOptions, lower_is_better=True, bare=True),
)
"""The metrics of this file."""
