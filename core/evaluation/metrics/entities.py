"""Entities against entities, by seqeval: tags per word, scores per entity."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidInput
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say

SCHEMES = ("IOB1", "IOB2", "IOE1", "IOE2", "IOBES", "BILOU")


@dataclass(frozen=True)
class SeqevalOptions:
    """Keywords of evaluate's seqeval; "warn" counts as 0, and a note says so instead of a warning."""

    suffix: bool = False
    scheme: str | None = None
    mode: Literal["strict"] | None = None
    sample_weight: Sequence[int] | None = None
    zero_division: Literal["warn", 0, 1] = "warn"


def _seqeval(rows: Rows, options: SeqevalOptions) -> Outcome:
    from seqeval.metrics import accuracy_score

    predictions, references = _tags(rows.predictions, "predictions"), _tags(rows.references, "references")
    _refuse_unaligned(predictions, references)
    if not any(references):
        raise InvalidInput("error.metric_empty", name="seqeval", columns="references")
    counts = _count(predictions, options), _count(references, options)
    report = _report(predictions, references, options) if any(counts) else {"micro avg": _NOTHING}
    overall = report.pop("micro avg")
    values: dict[str, Any] = {name: _scores(one) for name, one in report.items() if not name.endswith(" avg")}
    values |= {f"overall_{key}": one for key, one in list(_scores(overall).items())[:3]}
    values["overall_accuracy"] = float(accuracy_score(references, predictions))
    return Outcome(values, _notes(counts, len(references), values))


def _report(predictions: list[list[str]], references: list[list[str]], options: SeqevalOptions) -> dict[str, Any]:
    from seqeval.metrics import classification_report

    report: dict[str, Any] = classification_report(
        references,
        predictions,
        suffix=options.suffix,
        output_dict=True,
        scheme=_scheme(options.scheme),
        mode=options.mode,
        sample_weight=options.sample_weight,
        zero_division=0 if options.zero_division == "warn" else options.zero_division,
    )
    return report


def _count(tags: list[list[str]], options: SeqevalOptions) -> int:
    """Count the entities as the report will; it stumbles where there is none at all."""
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import Entities

    scheme = _scheme(options.scheme)
    if scheme and options.mode == "strict":
        return sum(map(len, Entities(tags, scheme, options.suffix).entities))
    return len(get_entities(tags, options.suffix))


_NOTHING = {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0}
"""The score of rows in which there is no entity at all."""


def _scores(report: dict[str, Any]) -> dict[str, Any]:
    scores: dict[str, Any] = {key: float(report[key]) for key in ("precision", "recall")}
    return {**scores, "f1": float(report["f1-score"]), "number": int(report["support"])}


def _tags(column: Any, name: str) -> list[list[str]]:
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    for row, tags in enumerate(values, 1):
        if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
            raise InvalidInput("error.metric_not_tags", column=name, row=row)
    return [list(tags) for tags in values]


def _refuse_unaligned(predictions: list[list[str]], references: list[list[str]]) -> None:
    for row, (predicted, expected) in enumerate(zip(predictions, references, strict=True), 1):
        if len(predicted) != len(expected):
            counts = {"predicted": len(predicted), "expected": len(expected)}
            raise InvalidInput("error.metric_tag_counts", row=row, **counts)


def _scheme(name: str | None) -> Any:
    if name is None:
        return None
    if name not in SCHEMES:
        raise InvalidInput("error.not_an_option", name="scheme", value=name, options=", ".join(SCHEMES))
    return getattr(importlib.import_module("seqeval.scheme"), name)


def _notes(counts: tuple[int, int], rows: int, values: dict[str, Any]) -> list[Sentence]:
    if values["overall_f1"]:
        missed = [name for name, one in values.items() if isinstance(one, dict) and not one["f1"]]
        return [say("reason.metric_types_zero", labels=", ".join(missed))] if missed else []
    found, wanted = counts
    if not (found and wanted):
        return [say("reason.metric_no_entities", column="predictions" if wanted else "references", count=rows)]
    return [say("reason.metric_no_entity_right", found=found, wanted=wanted)]


RECIPES = (Recipe("seqeval", "seqeval", "seqeval.metrics.classification_report", _seqeval, SeqevalOptions),)
"""The metrics of this file."""
