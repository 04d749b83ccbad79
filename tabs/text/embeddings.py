"""Feature extraction: lines as vectors, how alike they are, and which is nearest to a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.atelier import Atelier
from core.tasks.text.feature_extraction import (
    TASK,
    FeatureExtraction,
    FeatureExtractionSettings,
    extract_features,
)
from core.words import say
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import HeatMap, heat_map, table
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.feature_extraction"
LINES = (
    "A cat sleeps on the sofa.\nThe kitten naps on a cushion.\n"
    "Stock prices fell on Monday.\nShares lost value this week."
)
EXAMPLES = Examples(["query", "text"], [["news about money", LINES], ["", LINES]])


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/feature_extraction`."""
    task = TextTask(
        task=TASK,
        settings=FeatureExtractionSettings,
        answer=extract_features,
        show=_show,
        describe="Turn each line into a vector, compare all lines, and find the lines nearest to a query.",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {
        "text": control(FeatureExtractionSettings, "text", lines=7, elem_id="feature_extraction-text"),
        "query": control(FeatureExtractionSettings, "query", elem_id="feature_extraction-query"),
    }


def _more() -> dict[str, Any]:
    return controls(FeatureExtractionSettings, "pooling", "normalize")


def _show(answer: FeatureExtraction, _: Any, visit: Visit) -> str:
    lines = [f"{place}. {line}" for place, line in enumerate(answer.lines, start=1)]
    view = _nearest(answer, lines, visit)
    if len(lines) > 1:
        view += heat_map(HeatMap(lines, lines, answer.similarity, low=min(map(min, answer.similarity))), visit.language)
    head = [visit.say(say("say.line")), visit.say(say("say.vector"))]
    return view + table(head, zip(lines, map(_short, answer.vectors), strict=True))


def _nearest(answer: FeatureExtraction, lines: Sequence[str], visit: Visit) -> str:
    """Draw the lines nearest to the query, or each line with its nearest."""
    rows = [
        (*(() if one.of is None else (lines[one.of],)), lines[one.line], f"{one.score:.3f}") for one in answer.nearest
    ]
    keys = ("say.line", "say.nearest_line", "say.score")[-len(rows[0]) :] if rows else ()
    return table([visit.say(say(key)) for key in keys], rows) if rows else ""


def _short(vector: list[float]) -> str:
    return f"({len(vector)}) " + ", ".join(f"{value:.3f}" for value in vector[:6]) + ", …"
