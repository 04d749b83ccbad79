"""Metrics by name, the way evaluate loads them; nothing is downloaded, and no code of others is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput, UnknownName
from core.evaluation.lending import lender
from core.evaluation.metric import Metric, Recipe, Score
from core.evaluation.metrics import (
    answers,
    classification,
    detection,
    entities,
    language,
    meteor,
    pictures,
    probabilities,
    regression,
    segmentation,
    similarity,
    speech,
    summaries,
    translations,
)

if TYPE_CHECKING:
    from core.models.registry import Registry

_FILES = (
    *(classification, probabilities, entities, answers, translations, meteor, summaries),
    *(similarity, language, speech, regression, segmentation, detection, pictures),
)

_WITHOUT_EFFECT = frozenset({"cache_dir", "download_config", "download_mode", "experiment_id"}) | {
    "keep_in_memory",
    "revision",
    "seed",
}
"""Keywords of evaluate.load about files and downloads: here rows stay in memory, and the code is ours."""

ALIASES = {"calibration_error": "ece", "mcc": "matthews_correlation", "map": "mean_average_precision"}
"""Other names that people look for."""


@cache
def recipes() -> Mapping[str, Recipe]:
    """Return every metric by its name."""
    return {recipe.name: recipe for file in _FILES for recipe in file.RECIPES}


def names() -> list[str]:
    """Return the names that `load` knows, in alphabetical order."""
    return sorted(recipes())


def load(
    path: str,
    config_name: str | None = None,
    module_type: str | None = None,
    *,
    registry: Registry | None = None,
    **keywords: Any,
) -> Metric:
    """Return the metric of that name, as `evaluate.load` does: `load("f1").compute(predictions=…, references=…)`.

    `registry` lends the models of metrics that need one. Raises UnknownName with the names there are, and InvalidInput
    for keywords that would change the result and are not offered (several processes: gather the rows first).
    """
    if module_type not in (None, "metric"):
        raise InvalidInput("error.not_an_option", name="module_type", value=module_type, options="metric")
    if keywords.pop("num_process", 1) != 1 or keywords.pop("process_id", 0) != 0:
        raise InvalidInput("error.metric_processes")
    unknown = sorted(set(keywords) - _WITHOUT_EFFECT)
    if unknown:
        raise InvalidInput("error.metric_option", name="load", option=unknown[0], options="config_name, registry")
    recipe = recipes().get(ALIASES.get(path, path))
    if recipe is None:
        raise UnknownName("error.metric_unknown", name=path, names=", ".join(names()))
    return Metric(recipe, config_name, lender(registry))


class Combined:
    """Several metrics over the same rows; `compute` returns all their keys in one."""

    def __init__(self, metrics: Sequence[Metric], *, force_prefix: bool = False) -> None:
        """Keep them; equal keys are told apart by the metrics' names, all keys where `force_prefix`."""
        self.metrics = tuple(metrics)
        self._force_prefix = force_prefix

    def add(self, **row: Any) -> None:
        """Add one row to each."""
        for metric in self.metrics:
            metric.add(**row)

    def add_batch(self, **columns: Any) -> None:
        """Add rows to each."""
        for metric in self.metrics:
            metric.add_batch(**columns)

    def compute(self, **given: Any) -> dict[str, Any]:
        """Score the rows by each metric; an option goes to the metrics that have it, as evaluate.combine does."""
        results = [metric.compute(**_fitting(metric, given)) for metric in self.metrics]
        return self._merged([{one.name: one} if isinstance(one, Score) else one for one in results])

    def _merged(self, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        keys = [key for result in results for key in result]
        merged: dict[str, Any] = {}
        for metric, result in zip(self.metrics, results, strict=True):
            for key, value in result.items():
                shared = self._force_prefix or keys.count(key) > 1
                merged[f"{metric.name}_{key}" if shared else key] = value
        return merged


def combine(metrics: Sequence[str | Metric], *, force_prefix: bool = False) -> Combined:
    """Return several metrics as one, as `evaluate.combine` does."""
    loaded = [load(one) if isinstance(one, str) else one for one in metrics]
    return Combined(loaded, force_prefix=force_prefix)


def _fitting(metric: Metric, given: Mapping[str, Any]) -> dict[str, Any]:
    known = {*metric.recipe.columns, *metric.options}
    return {name: value for name, value in given.items() if name in known}
