"""Metrics the way the evaluate library's own scripts compute them: a Metric with features, rows kept in Arrow files.

The scripts themselves lie on the Hub; these hold what they do: declared features and one call of the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def plain_metric(name: str, kind: str, score: Callable[[Any, Any], float], folder: str) -> Any:
    """Return a metric of the library that keeps its rows below `folder`; `kind` is the type of both columns."""
    import datasets
    import evaluate

    class Plain(evaluate.Metric):  # type: ignore[misc]
        """One metric of the library."""

        def _info(self) -> Any:
            features = datasets.Features({one: datasets.Value(kind) for one in ("predictions", "references")})
            return evaluate.MetricInfo(description=name, citation="", inputs_description="", features=features)

        def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
            return {name: float(score(references, predictions))}

    return Plain(cache_dir=folder)
