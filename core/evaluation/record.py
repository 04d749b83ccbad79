"""What an evaluation leaves: evaluation.json, which says what was found and how, and rows.parquet, which shows it.

evaluation.json   settings, data, versions, seed; for each model who it is, its numbers with intervals, its charts;
                  for each two models who is better. Rewritten after each model, so that a stop leaves what is done.
rows.parquet      a line for each row: row, input, reference, and for each model its prediction, score, problem, detail
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.evaluation.comparison import Comparison
from core.evaluation.measured import Measured
from core.evaluation.resampling import bootstrap
from core.jobs.files import written_whole
from core.jobs.records import sentence_to_json
from core.jobs.views import installed_versions
from core.jobs.work import to_json
from core.settings import PROJECT
from core.tables import read_table, write_parquet
from core.words import Sentence

FORMAT = 1
"""Of evaluation.json; a reader of a later one may find more in it, and finds everything that is here."""
EVALUATION_FILE, ROWS_FILE = "evaluation.json", "rows.parquet"
_CODE = ("core/evaluation", "core/tasks/text", "core/training/data")
"""Folders whose code decides what comes out."""


@dataclass(frozen=True)
class ModelRecord:
    """One model's part."""

    name: str
    """As it is told, and as its columns in rows.parquet begin."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Who answered: model, revision, adapter, run, lineage, device, seconds, …"""
    metrics: Sequence[Mapping[str, Any]] = ()
    """Each metric as `measured_as_json` gives it."""
    n: int = 0
    """Rows that were answered, and are measured."""
    left_out: int = 0
    """Rows without an answer."""
    problem: str = ""
    """The first of their problems."""
    cut: int = 0
    """Rows of which the model could not read everything."""
    charts: Mapping[str, Any] = field(default_factory=dict)
    row_score: float | None = None
    """The mean of the rows' own scores."""
    refusal: Sentence | None = None
    """Why this model could not be evaluated."""


@dataclass(frozen=True)
class EvaluationRecord:
    """An evaluation, as far as it is done."""

    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    row_score: Mapping[str, Any]
    models: Sequence[ModelRecord]
    comparisons: Sequence[Comparison]
    created: float
    seed: int
    job: str = ""


@cache
def code_version() -> str:
    """Return the hash of the code that asks and measures: equal ones count alike."""
    digest = hashlib.sha256()
    for folder in _CODE:
        for file in sorted((PROJECT / folder).rglob("*.py")):
            digest.update(file.relative_to(PROJECT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def write_evaluation(record: EvaluationRecord, folder: Path) -> None:
    """Write evaluation.json in one step; raises OSError."""
    told = {
        "format": FORMAT,
        "job": record.job,
        "created": record.created,
        "task": record.settings.get("task"),
        "settings": record.settings,
        "seed": record.seed,
        "data": record.data,
        "row_score": record.row_score,
        "code_version": code_version(),
        "versions": installed_versions(),
        "models": [_model_as_json(one) for one in record.models],
        "comparisons": [comparison_as_json(one) for one in record.comparisons],
    }
    with written_whole(folder / EVALUATION_FILE) as draft:
        draft.write_text(json.dumps(to_json(told), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _model_as_json(model: ModelRecord) -> dict[str, Any]:
    return {
        "name": model.name,
        **model.told,
        "n": model.n,
        "left_out": model.left_out,
        "problem": model.problem,
        "cut": model.cut,
        "row_score": model.row_score,
        "metrics": model.metrics,
        "charts": model.charts,
        "refusal": sentence_to_json(model.refusal),
    }


def measured_as_json(measured: Measured, draws: int, seed: int) -> dict[str, Any]:
    """Return a metric with its numbers, each with its bootstrap interval where it can be resampled."""
    return {
        "name": measured.name,
        "lower_is_better": measured.lower_is_better,
        "values": [_value_as_json(measured, key, draws, seed) for key in measured.values],
        "implementation": measured.implementation,
        "notes": [sentence_to_json(one) for one in measured.notes],
        "refusal": sentence_to_json(measured.refusal),
    }


def _value_as_json(measured: Measured, key: str, draws: int, seed: int) -> dict[str, Any]:
    told = {"key": key, "value": measured.values[key]}
    found = bootstrap(measured.tallies[key], draws, seed) if key in measured.tallies else None
    return {**told, "interval": to_json(found) if found else None}


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """Return who is better, with all numbers and in words."""
    names = ("first", "second", "rows", "better", "worse", "equal", "key", "left_out")
    tested = found.mcnemar
    columns = ("only_first", "only_second", "p_value")
    return {
        **{name: getattr(found, name) for name in names},
        "paired": to_json(found.paired),
        "mcnemar": dict(zip(columns, tested, strict=True)) if tested else None,
        "sentence": sentence_to_json(found.sentence),
        "test_sentence": sentence_to_json(found.test_sentence),
    }


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Return what evaluation.json holds; raises BadFile where there is none yet, or it makes no sense."""
    try:
        held = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadFile("error.evaluation_unreadable", file=EVALUATION_FILE) from problem
    if not isinstance(held, dict) or not isinstance(held.get("models"), list):
        raise BadFile("error.evaluation_unreadable", file=EVALUATION_FILE)
    return held


def write_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write rows.parquet in one step; raises OSError."""
    with written_whole(folder / ROWS_FILE) as draft:
        write_parquet(draft, columns, rows)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of rows.parquet; raises BadFile where there is none, or it is damaged."""
    return read_table(folder / ROWS_FILE).rows
