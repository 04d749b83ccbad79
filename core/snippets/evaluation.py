"""The code of an evaluation: transformers and scikit-learn over its own rows, and the calls by curl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from core.provenance import Provenance
from core.snippets.curl import curl_snippet
from core.snippets.panel import fenced
from core.snippets.source import Code, call, code, literal, source
from core.snippets.table import TableJob, asking_code
from core.tasks.text.text_classification import TASK, TextClassificationSettings

ROWS = "rows.parquet"
_SCORES = {
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
    "matthews_correlation": "matthews_corrcoef",
    "f1": "f1_score",
    "precision": "precision_score",
    "recall": "recall_score",
}
_AVERAGED = ("f1", "precision", "recall")
_AVERAGES = ("macro", "micro", "weighted")
_LOSS = "log_loss"
OUTPUT_OF_JOB = 1
"""Of `/evaluate_start` and `/evaluate_status` the second output is what a program wants."""


@dataclass(frozen=True)
class EvaluatedClassifier:
    """One classifier of an evaluation, and how it was measured."""

    settings: TextClassificationSettings
    """Its model as it was typed, and the wishes."""
    provenance: Provenance
    max_length: int
    """Tokens read of a text."""
    names: Mapping[str, str]
    """The model's labels → the data's words."""
    metrics: Sequence[str]
    column: str
    """Of rows.parquet, where it holds nothing for a row that was not answered."""


def evaluation_markdown(
    classifier: EvaluatedClassifier | None, settings: Any, job: str, base_url: str, *, user: str | None = None
) -> str:
    """Return fenced blocks: Python for a classifier, and curl that starts the evaluation and reads this very one."""
    blocks = [fenced(one, "bash") for one in curl_of_evaluation(settings, job, base_url, user=user)]
    if classifier is not None:
        blocks.insert(0, fenced(python_of_classifier(classifier), "python"))
    return "\n\n".join(blocks)


def python_of_classifier(one: EvaluatedClassifier) -> str:
    """Write a program that asks the model for each row of rows.parquet anew, and counts with scikit-learn."""
    job = TableJob(ROWS, "input", TASK, one.settings, {})
    return source(*asking_code(job, one.provenance, one.max_length), _asked(one), _counted(one.metrics))


def curl_of_evaluation(settings: Any, job: str, base_url: str, *, user: str | None = None) -> tuple[str, str]:
    """Write the call that starts the evaluation and prints its job, and the one that prints this job's numbers."""
    usual = {field.name: field.default for field in fields(settings)}
    chosen = {name: getattr(settings, name) for name in usual if getattr(settings, name) != usual[name]}
    uploads = {"file": chosen.pop("file")} if settings.file else {}
    values = {**{name: _several(name, value) for name, value in chosen.items()}, **({} if uploads else {"file": None})}
    start = curl_snippet("evaluate_start", values, base_url, user=user, uploads=uploads, output=OUTPUT_OF_JOB)
    return start, curl_snippet("evaluate_status", {"job": job}, base_url, user=user, output=OUTPUT_OF_JOB)


def _several(name: str, value: Any) -> Any:
    """Return models and metrics as the endpoint has them: lists."""
    return [one.strip() for one in value.split(",")] if name in ("models", "metrics") else value


def _asked(one: EvaluatedClassifier) -> Code:
    same = all(own == name for own, name in one.names.items())
    named = 'found["label"]' if same else 'names[found["label"]]'
    return code(
        "json pandas",
        "# among the files of the evaluation's job: Jobs, or /job_result",
        f"rows = pandas.read_parquet({literal(ROWS)})",
        f"rows = rows[rows[{literal(one.column)}].notna()]  # those that were answered",
        'references = [json.loads(expected) for expected in rows["expected"]]',
        *([] if same else [call("names = dict", *_pairs(one.names))]),
        f'answers = [{{{named}: found["score"] for found in answer(text)}} for text in rows["input"]]',
        "predictions = [max(scores, key=scores.get) for scores in answers]",
    )


def _pairs(names: Mapping[str, str]) -> list[str]:
    return [f"[{', '.join(f'({literal(own)}, {literal(name)})' for own, name in names.items())}]"]


def _counted(metrics: Sequence[str]) -> Code:
    """Write a line for each metric that scikit-learn has; the others are named."""
    imports, lines, others = [], [], []
    for metric in metrics:
        name, average = (metric, "") if metric in _SCORES else metric.rpartition("_")[::2]
        if metric == _LOSS:
            imports.append("sklearn.metrics:log_loss")
            lines += _loss()
        elif name in _SCORES and average in ("", *_AVERAGES):
            imports.append(f"sklearn.metrics:{_SCORES[name]}")
            options = {"average": literal(average or "macro"), "zero_division": "0"} if name in _AVERAGED else {}
            score = call(_SCORES[name], "references", "predictions", **options)
            lines.append(f"print({literal(metric)}, {score})")
        else:
            others.append(metric)
    told = [f"# counted by Atelier alone: {', '.join(others)}"] if others else []
    return code(" ".join(imports), *lines, *told)


def _loss() -> list[str]:
    return [
        "labels = sorted(answers[0])",
        "chances = [[scores[label] for label in labels] for scores in answers]",
        'print("log_loss", log_loss(references, chances, labels=labels))',
    ]
