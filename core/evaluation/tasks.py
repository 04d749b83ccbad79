"""What can be evaluated: each task with the metrics that fit it, and what tells how good a single row is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import InvalidInput, UnknownName
from core.evaluation.loading import ALIASES
from core.fields import comma_separated
from core.training.data.prepared import PLAIN

MOST_METRICS = 12
_AVERAGED = ("f1", "precision", "recall")
AVERAGES = ("macro", "micro", "weighted")
TEXTS = ("exact_match", "rouge", "bleu", "sacrebleu", "chrf", "ter", "meteor", "bertscore", "wer", "cer")
"""Metrics of written texts against reference texts."""


@dataclass(frozen=True)
class RowScore:
    """What is told of each row by itself."""

    name: str
    lower_is_better: bool = False
    binary: bool = False
    """1 where the row is right, 0 where it is wrong, and nothing between: McNemar's test counts these."""


@dataclass(frozen=True)
class EvaluationTask:
    """One task: what is measured where nobody says, what can be measured, and the score of one row."""

    name: str
    metrics: tuple[str, ...]
    """Measured by default, the one that decides a comparison first."""
    fitting: tuple[str, ...]
    row_score: RowScore
    columns: tuple[str, ...]
    """Canonical columns that the data must have."""


_CLASSES = (
    *("accuracy", "balanced_accuracy"),
    *(f"{name}_{average}" if average != "macro" else name for name in _AVERAGED for average in AVERAGES),
    *("matthews_correlation", "roc_auc", "log_loss", "ece"),
)
LANGUAGE = ("perplexity", "bits_per_byte")
"""Metrics of running text, which a model is asked to expect and not to write."""
WRITTEN = ("rouge", "exact_match")
"""Measured by default where a language model answers prompts."""
_TASKS = (
    EvaluationTask(
        "text-classification",
        metrics=("accuracy", "f1", "matthews_correlation", "log_loss", "ece"),
        fitting=_CLASSES,
        row_score=RowScore("right", binary=True),
        columns=("text", "label"),
    ),
    EvaluationTask(
        "token-classification",
        metrics=("seqeval",),
        fitting=("seqeval",),
        row_score=RowScore("f1"),
        columns=("tokens", "tags"),
    ),
    EvaluationTask(
        "question-answering",
        metrics=("squad",),
        fitting=("squad", "squad_v2"),
        row_score=RowScore("f1"),
        columns=("question", "context", "answers"),
    ),
    EvaluationTask(
        "summarization",
        metrics=("rouge",),
        fitting=TEXTS,
        row_score=RowScore("rougeL"),
        columns=("source", "target"),
    ),
    EvaluationTask(
        "translation",
        metrics=("sacrebleu", "chrf"),
        fitting=TEXTS,
        row_score=RowScore("chrf"),
        columns=("source", "target"),
    ),
    EvaluationTask(
        "text-generation",
        metrics=(),
        fitting=(*LANGUAGE, *TEXTS),
        row_score=RowScore("rougeL"),
        columns=("text",),
    ),
)
EVALUATION_TASKS: Mapping[str, EvaluationTask] = {task.name: task for task in _TASKS}
EXPECTED = RowScore("bits_per_byte", lower_is_better=True)
"""What is told of a row of running text."""


def find_evaluation_task(name: str) -> EvaluationTask:
    """Return the task called `name`; UnknownName lists the names."""
    if name not in EVALUATION_TASKS:
        raise UnknownName("error.unknown_evaluation_task", name=name, names=", ".join(EVALUATION_TASKS))
    return EVALUATION_TASKS[name]


def row_score_of(task: str, shape: str) -> RowScore:
    """Return what is told of each row of some data."""
    return EXPECTED if shape == PLAIN else find_evaluation_task(task).row_score


def metrics_for(task: str, shape: str, chosen: Sequence[str]) -> tuple[str, ...]:
    """Return what is measured on data of a shape: what was chosen, else the usual.

    Raises InvalidInput for a metric that does not fit these data, with those that do.
    """
    known = find_evaluation_task(task)
    usual, fitting = known.metrics, known.fitting
    if task == "text-generation":
        usual, fitting = (LANGUAGE, LANGUAGE) if shape == PLAIN else (WRITTEN, TEXTS)
    require_fitting(task, chosen, fitting)
    return tuple(chosen) or usual


def chosen_metrics(task: str, asked: str) -> tuple[str, ...]:
    """Return the metrics that were asked for, under their own names; none asked for = none here, the data decide.

    Raises InvalidInput for one that does not fit the task, with those that do.
    """
    known = find_evaluation_task(task)
    names = tuple(dict.fromkeys(_own_name(one) for one in comma_separated(asked)))
    if len(names) > MOST_METRICS:
        raise InvalidInput("error.evaluate_too_many_metrics", count=len(names), limit=MOST_METRICS)
    require_fitting(task, names, known.fitting)
    return names


def require_fitting(task: str, names: Sequence[str], fitting: Sequence[str]) -> None:
    """Raise InvalidInput for the first name that is not among `fitting`."""
    for name in names:
        if name not in fitting:
            raise InvalidInput("error.evaluate_unfit_metric", name=name, task=task, fitting=", ".join(fitting))


def _own_name(typed: str) -> str:
    name = typed.strip().lower()
    return ALIASES.get(name, name).removesuffix("_macro")


def averaged(name: str) -> tuple[str, str] | None:
    """Return metric and average of f1, f1_micro, recall_weighted, …; None for every other metric."""
    metric, _, average = name.partition("_")
    if metric in _AVERAGED and average in ("", *AVERAGES):
        return metric, average or "macro"
    return None
