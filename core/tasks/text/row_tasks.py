"""How each text task works on a row of a table: what it runs, which columns it adds, what its chart counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.tasks.text.text_classification import TextClassificationSettings, classify_texts

Run = Callable[..., Sequence[Any]]
"""(texts, batch settings, registry, borrowed model, lane) → one pipeline result a text."""


@dataclass(frozen=True)
class RowTask:
    """One task in a table."""

    run: Run
    columns: tuple[str, ...]
    cells: Callable[[Any], dict[str, Any]]
    categories: Callable[[Any], Sequence[str]]


def _options(settings: Any) -> dict[str, str]:
    return {name: getattr(settings, name) for name in ("model", "device", "dtype", "attention", "quantisation")}


def _classify(texts: Sequence[str], settings: Any, *rest: Any) -> Sequence[Any]:
    return classify_texts(texts, TextClassificationSettings(text=texts[0], top_k=1, **_options(settings)), *rest)


def _best_label(result: list[dict[str, Any]]) -> dict[str, Any]:
    return {"label": result[0]["label"], "score": round(result[0]["score"], 6)}


ROW_TASKS: Mapping[str, RowTask] = {
    "text-classification": RowTask(
        _classify, ("label", "score"), _best_label, lambda result: [result[0]["label"]]
    ),
}
