"""Metrics of predictions that somebody already has: two lists, or two columns of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadFile, InvalidInput
from core.evaluation.loading import ALIASES, load
from core.evaluation.material import Material
from core.evaluation.measuring import measure
from core.evaluation.metric import MOST_ROWS
from core.evaluation.resampling import DRAWS, Interval, Tally, bootstrap, divided, mean_tally, tally
from core.evaluation.sent_options import blaming_options, check_options
from core.evaluation.tasks import AVERAGES, TEXTS
from core.settings import LIMITS
from core.tables import read_table
from core.training.data.examples.cells import parsed
from core.training.data.prepared import LABELS, PAIRS, WORDS
from core.words import Sentence

if TYPE_CHECKING:
    from core.models.registry import Registry

_LABEL_METRICS = (
    *("accuracy", "balanced_accuracy", "f1", "precision", "recall", "matthews_correlation"),
    "confusion_matrix",
)
_PROBABILITIES = ("roc_auc", "log_loss", "brier_score", "ece")
_NUMBERS = ("mse", "mae", "r_squared", "pearsonr", "spearmanr")
_SQUAD = ("squad", "squad_v2")
FITTING: Mapping[str, tuple[str, ...]] = {
    "labels": (*_LABEL_METRICS, *TEXTS),
    "whole numbers": (*_LABEL_METRICS, *_NUMBERS, *_PROBABILITIES),
    "numbers": (*_NUMBERS, *_PROBABILITIES),
    "tags": ("seqeval",),
    "answers": _SQUAD,
}
"""What a column of predictions holds → the metrics that can read it; text is labels, too."""
_KNOWN = {name for names in FITTING.values() for name in names}
_SHAPES = {**dict.fromkeys(_LABEL_METRICS[:-1], LABELS), **dict.fromkeys(TEXTS, PAIRS), "seqeval": WORDS}
_PREDICTIONS = "predictions prediction predicted pred output answer hypothesis".split()
_REFERENCES = "references reference expected gold target truth label labels".split()


@dataclass(frozen=True)
class Given:
    """What a metric found."""

    metric: str
    values: Mapping[str, Any]
    """By the keys of the evaluate library, as JSON."""
    n: int
    intervals: Mapping[str, Interval]
    """For the numbers that can be resampled, by the same keys."""
    implementation: Mapping[str, Any]
    notes: tuple[Sentence, ...] = field(default=())


def metrics_of(
    predictions: Sequence[Any],
    references: Sequence[Any] | None,
    metric: str,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    seed: int = 0,
) -> Given:
    """Score predictions against references; `options` are the metric's own keywords.

    Raises UnknownName for a metric that is not there, and InvalidInput, in words: unequal lengths, no rows, more rows
    than MOST_ROWS, missing or NaN values, labels outside `options["labels"]`, a metric that cannot read these columns.
    """
    asked = dict(options or {})
    config = asked.pop("config_name", None)
    name = ALIASES.get(metric, metric)
    loaded = load(name, config, registry=registry)
    columns = _columns(loaded.recipe.columns, predictions, references)
    _refuse_too_many(name, columns)
    _refuse_unfit(name, predictions)
    _refuse_unknown_labels(name, columns, asked)
    found = loaded.compute(**columns, **asked)
    values = found.plain()
    intervals = {
        key: interval
        for key, one in _tallies(name, columns, asked, registry).items()
        if key in values and (interval := bootstrap(one, DRAWS, seed))
    }
    return Given(name, values, len(predictions), intervals, found.implementation.as_dict(), found.notes)


def metrics_of_file(
    path: Path,
    metric: str,
    columns: tuple[str, str] = ("", ""),
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Given:
    """Score two columns of a table, (predictions, references); "" = the one whose name tells it.

    Raises BadFile for a file that cannot be read and a column that is not there, and what `metrics_of` does.
    """
    table = read_table(path)
    if table.problems:
        place, reason = min(table.problems.items())
        raise BadFile("error.evaluate_bad_row", file=path.name, row=place + 1, reason=reason)
    names = [
        given.strip() or _named(path, table.columns, usual)
        for given, usual in zip(columns, (_PREDICTIONS, _REFERENCES), strict=True)
    ]
    return metrics_of_cells([table.column(name) for name in names], metric, options, registry)


def metrics_of_cells(
    columns: Sequence[Sequence[Any]],
    metric: str,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Given:
    """Score (predictions, references) as a table, or somebody who typed them, has them: texts may be numbers or JSON.

    No references are an empty column. Raises InvalidInput for more rows than LIMITS.batch_rows or a longer text than
    LIMITS.batch_text_characters, for options that may not be sent, and what `metrics_of` does.
    """
    _refuse_large(metric, columns)
    predictions, references = _as_numbers(*([parsed(cell) for cell in column] for column in columns))
    none, asked = predictions and not references, dict(options or {})
    check_options(metric, asked)
    with blaming_options(metric, asked):
        return metrics_of(predictions, None if none else references, metric, asked, registry)


def _refuse_large(metric: str, columns: Sequence[Sequence[Any]]) -> None:
    """Refuse what would take minutes: some metrics look at every pair of words of a row."""
    count, limit = max(map(len, columns)), LIMITS.batch_text_characters
    if count > LIMITS.batch_rows:
        raise InvalidInput("error.metric_too_many", name=metric, count=count, limit=LIMITS.batch_rows)
    for name, column in zip(("predictions", "references"), columns, strict=True):
        for row, cell in enumerate(column, 1):
            if isinstance(cell, str) and len(cell) > limit:
                raise InvalidInput("error.metric_long_text", column=name, row=row, length=len(cell), limit=limit)


def _columns(
    wanted: Sequence[str], predictions: Sequence[Any], references: Sequence[Any] | None
) -> dict[str, Sequence[Any]]:
    """Name the columns as the metric does: of a ranking, predictions are scores."""
    first = next(iter(wanted))
    found: dict[str, Sequence[Any]] = {first: predictions}
    if references is not None and "references" in wanted:
        found["references"] = references
    return found


def _refuse_too_many(name: str, columns: Mapping[str, Sequence[Any]]) -> None:
    count = max(map(len, columns.values()))
    if count > MOST_ROWS:
        raise InvalidInput("error.metric_too_many", name=name, count=count, limit=MOST_ROWS)


def _refuse_unfit(name: str, predictions: Sequence[Any]) -> None:
    """Refuse a metric that cannot read such predictions, with those that can; empty columns are another refusal."""
    kind = _kind_of(predictions)
    if kind is None or name not in _KNOWN or name in FITTING[kind]:
        return
    example = str(next(one for one in predictions if one is not None))[:50]
    raise InvalidInput("error.metric_unfit", name=name, example=example, fitting=", ".join(FITTING[kind]))


def _kind_of(column: Sequence[Any]) -> str | None:
    """Return what a column holds, by its first value that tells; None for what cannot be told apart."""
    value = next((one for one in column if one is not None and one == one), None)  # noqa: PLR0124 NaN is not itself
    scalar = hasattr(value, "item") and getattr(value, "ndim", 0) == 0
    return _kind_of_value(value.item() if scalar else value)  # type: ignore[union-attr]


def _kind_of_value(value: Any) -> str | None:
    if isinstance(value, str):
        return "labels"
    if isinstance(value, int):
        return "whole numbers"
    if isinstance(value, float):
        return "numbers"
    if isinstance(value, Mapping):
        return "answers" if "prediction_text" in value else None
    tagged = isinstance(value, list | tuple) and bool(value) and all(isinstance(one, str) for one in value)
    return "tags" if tagged else None


def _refuse_unknown_labels(name: str, columns: Mapping[str, Sequence[Any]], options: Mapping[str, Any]) -> None:
    """Refuse a label that is not among those that were named, where labels were."""
    known = options.get("labels")
    if known is None or name not in _LABEL_METRICS:
        return
    for column, values in columns.items():
        for row, value in enumerate(values, 1):
            if value not in known:
                listed = ", ".join(map(str, known[:20]))
                raise InvalidInput("error.metric_unknown_label", column=column, row=row, value=value, labels=listed)


def _tallies(
    name: str, columns: Mapping[str, Sequence[Any]], options: Mapping[str, Any], registry: Registry | None
) -> Mapping[str, Tally]:
    """Return what can be resampled: metrics with their own settings, and averages of classes."""
    if name in _NUMBERS:
        return {} if options else _number_tallies(name, columns)
    average = options.get("average", "")
    if name not in _SHAPES or set(options) - {"average"} or (options and average not in AVERAGES):
        return {}
    if name in ("f1", "precision", "recall") and not average:
        return {}  # of one class alone
    predictions, references = (list(columns[one]) for one in ("predictions", "references"))
    if _SHAPES[name] == PAIRS and not all(isinstance(one, str) for one in references):
        return {}  # several references a row
    material = _material(_SHAPES[name], predictions, references, registry)
    measured = measure(f"{name}_{average}" if average else name, material)
    return dict.fromkeys([name], *measured.tallies.values()) if average and measured.tallies else measured.tallies


def _material(shape: str, predictions: list[Any], references: list[Any], registry: Registry | None) -> Material:
    if shape == LABELS:
        rows = [{"text": "", "label": str(one)} for one in references]
        return Material("", shape, rows, [{"label": str(one)} for one in predictions], registry)
    if shape == WORDS:
        tagged = [{"tokens": list(one), "tags": list(one)} for one in references]
        return Material("", shape, tagged, predictions, registry)
    return Material("", shape, [{"source": "", "target": one} for one in references], predictions, registry)


def _number_tallies(name: str, columns: Mapping[str, Sequence[Any]]) -> Mapping[str, Tally]:
    import numpy as np

    predicted, expected = (np.asarray(columns[one], float) for one in ("predictions", "references"))
    if predicted.ndim != 1:
        return {}
    if name in ("mse", "mae"):
        return {name: mean_tally((predicted - expected) ** 2 if name == "mse" else np.abs(predicted - expected))}
    if name == "spearmanr":
        return {}  # ranks change with the rows
    centred = predicted - expected.mean(), expected - expected.mean()
    x, y = centred
    parts = np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])
    return {name: tally(parts, _r_squared if name == "r_squared" else _pearson)}


def _pearson(sums: Any) -> Any:
    import numpy as np

    n, x, y, xx, yy, xy = sums.T
    return divided(n * xy - x * y, np.sqrt(np.maximum((n * xx - x * x) * (n * yy - y * y), 0)))


def _r_squared(sums: Any) -> Any:
    n, _, y, xx, yy, xy = sums.T
    return 1 - divided(xx - 2 * xy + yy, yy - y * y / n)


def _named(path: Path, columns: Sequence[str], usual: Sequence[str]) -> str:
    by_name = {name.strip().lower(): name for name in reversed(columns)}
    found = next((by_name[one] for one in usual if one in by_name), None)
    if found is None:
        wanted, listed = ", ".join(usual), ", ".join(columns)
        raise BadFile("error.evaluate_no_column", file=path.name, wanted=wanted, columns=listed)
    return found


def _as_numbers(*columns: list[Any]) -> Sequence[list[Any]]:
    """Return columns of a text file as numbers where all their cells are some, else as they are."""
    for kind in (int, float):
        try:
            return [[kind(cell) if isinstance(cell, str) else cell for cell in column] for column in columns]
        except ValueError:
            continue
    return columns
