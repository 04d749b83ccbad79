"""Metrics of predictions that somebody already has: pasted lines, or two columns of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import InvalidInput
from core.evaluation.given import FITTING, Given, metrics_of_cells, metrics_of_file
from core.tables import FORMATS
from core.words import say
from tabs._events import Endpoint, Visit, compute
from tabs._language import word
from tabs._lines import Lines, lines_in
from tabs._views import folded, notes, table
from tabs.evaluation._run_view import between, counted_by, number

TITLE = "evaluate.given"
METRICS = tuple(dict.fromkeys(name for names in FITTING.values() for name in names))
MOST_SHOWN = 12
"""Values of one key that a table shows, of a metric that tells one for each row or class."""


def build(atelier: Atelier, _: gr.Tab, __: gr.Tab) -> None:
    """Lay out the panel and wire `/metric_compute`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            inputs = _inputs()
            run = gr.Button(word("run"), variant="primary", elem_id="metric-run")
            gr.Examples(
                [
                    [
                        "f1",
                        "positive\nnegative\npositive\npositive",
                        "positive\nnegative\nnegative\npositive",
                        '{"average": "macro"}',
                    ]
                ],
                [inputs[name] for name in ("metric", "predictions", "references", "options")],
                label=word("examples"),
                example_labels=["f1"],
                api_visibility="private",
            )
        with gr.Column(scale=1, min_width=320):
            view = gr.HTML(f'<p class="empty">{word("empty_metric")}</p>', label="view", elem_id="metric-view")
            with gr.Accordion(word("json"), open=False):
                result = gr.JSON(label="result", elem_id="metric-result")
    compute(run.click, GivenHandlers(atelier).metric_compute, Endpoint("metric_compute", inputs, [view, result]))


def _inputs() -> dict[str, Any]:
    return {
        "metric": gr.Dropdown(
            list(METRICS),
            value=METRICS[0],
            allow_custom_value=True,
            label=word("field.metric"),
            elem_id="metric-metric",
        ),
        "predictions": _lines("predictions", word("field.predictions.info")),
        "references": _lines("references", word("field.references.info")),
        "options": gr.Textbox(
            "", label=word("field.options"), info=word("field.options.info"), lines=1, elem_id="metric-options"
        ),
        "file": gr.File(label=word("field.metric_file"), file_types=list(FORMATS), height=120, elem_id="metric-file"),
        **{name: _column(name) for name in ("prediction_column", "reference_column")},
    }


def _lines(name: str, info: Any) -> Lines:
    return Lines("", label=word(f"field.{name}"), info=info, lines=4, max_lines=12, elem_id=f"metric-{name}")


def _column(name: str) -> gr.Textbox:
    return gr.Textbox("", label=word(f"field.{name}"), info=word("field.column.info"), elem_id=f"metric-{name}")


@dataclass(frozen=True)
class GivenHandlers:
    """What the panel's button does."""

    atelier: Atelier

    def metric_compute(  # noqa: PLR0913 each is a parameter of the endpoint
        self,
        visit: Visit,
        *,
        metric: str,
        predictions: Any = "",
        references: Any = "",
        options: Any = "",
        file: str | None = None,
        prediction_column: str = "",
        reference_column: str = "",
    ) -> tuple[str, Any]:
        """Score predictions against references by one metric: lines, lists, or two columns of a file."""
        keywords, registry = options_in(options), self.atelier.registry
        pasted = [lines_in(name, one) for name, one in (("predictions", predictions), ("references", references))]
        if file and any(pasted):
            raise InvalidInput("error.metric_two_sources", file=Path(file).name)
        if file:
            columns = (prediction_column or "", reference_column or "")
            found = metrics_of_file(Path(file), metric, columns, keywords, registry)
        else:
            found = metrics_of_cells(pasted, metric, keywords, registry)
        return show(found, visit), as_result(found)


def options_in(given: Any) -> dict[str, Any]:
    """Return the metric's own keywords, a JSON object; raises InvalidInput for anything else."""
    if isinstance(given, dict):
        return given
    try:
        found = json.loads(str(given or "").strip() or "{}")
    except ValueError as problem:
        raise InvalidInput("error.metric_options_unreadable", reason=str(problem)) from problem
    if not isinstance(found, dict):
        raise InvalidInput("error.metric_options_unreadable", reason=type(found).__name__)
    return found


def show(found: Given, visit: Visit) -> str:
    """Draw what a metric found: numbers with their intervals, lists below, and who computed it."""
    single = [(key, value) for key, value in found.values.items() if not isinstance(value, list | dict)]
    head = [visit.say(say(key)) for key in ("say.evaluate_metric", "say.value", "say.evaluate_interval")]
    rows = [(key, _cell(value), between(_interval(found, key))) for key, value in single]
    drawn = table(head, rows) if rows else ""
    drawn += "".join(_several(key, value) for key, value in found.values.items() if isinstance(value, list | dict))
    told = visit.say(say("say.evaluate_scored", rows=found.n))
    drawn += f'<p class="provenance">{escape(told)}<br>{escape(counted_by(found.implementation))}</p>'
    return notes(found.notes, visit.language) + drawn


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, int | float) or value is None else str(value)


def _interval(found: Given, key: str) -> Mapping[str, Any] | None:
    one = found.intervals.get(key)
    return {"low": one.low, "high": one.high} if one else None


def _several(key: str, value: Any) -> str:
    """Draw a matrix as a table, and a list or a dictionary as lines."""
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return table([key, *map(str, range(len(value[0])))], [(place, *row) for place, row in enumerate(value)])
    lines = [
        f"{name}: {_plain(one)}" for name, one in (value.items() if isinstance(value, dict) else enumerate(value, 1))
    ]
    return folded(key, [*lines[:MOST_SHOWN], *(["…"] if len(lines) > MOST_SHOWN else [])])


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else _cell(value)


def as_result(found: Given) -> dict[str, Any]:
    """Return what a metric found for programs."""
    return {
        "metric": found.metric,
        "values": dict(found.values),
        "n": found.n,
        "intervals": {
            key: {"low": one.low, "high": one.high, "level": one.level} for key, one in found.intervals.items()
        },
        "implementation": dict(found.implementation),
        "notes": [str(note) for note in found.notes],
    }
