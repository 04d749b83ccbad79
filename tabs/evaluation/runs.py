"""All trainings and evaluations in one table: find, sort, tag, delete; curves over each other; tables and figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.evaluation.dashboard.curves import CurveSettings
from core.evaluation.dashboard.desk import FigureSettings
from core.evaluation.dashboard.listing import COLUMNS, RunsSettings
from core.evaluation.dashboard.row import KINDS
from tabs._events import HIDDEN, QUIET, Endpoint, compute, look_up
from tabs._form import control
from tabs._language import word
from tabs.evaluation._runs_desk import TABLE_TYPES, RunsHandlers

TITLE = "evaluate.runs"
BUTTONS = ("curves", "figure", "export", "tag", "delete")
Controls = dict[str, Any]


def build(atelier: Atelier, _: gr.Tab, panel: gr.Tab) -> None:
    """Lay out filter, table and what can be done with runs, and wire them."""
    filters = _filters()
    table = gr.HTML(f'<p class="empty">{word("empty_runs")}</p>', label="view", elem_id="runs-view")
    chosen = _Chosen.lay_out()
    by = RunsHandlers(atelier)
    _wire_table(by, filters, table, chosen, panel)
    _wire_chosen(by, chosen)
    _wire_changes(by, filters, table, chosen)


def _filters() -> Controls:
    kinds = [(word("runs.all"), "all"), *((word(f"runs.{kind}"), kind) for kind in KINDS)]
    with gr.Row():
        return {
            "kind": gr.Dropdown(kinds, value="all", label=word("field.run_kind"), min_width=140, elem_id="runs-kind"),
            "search": gr.Textbox("", label=word("field.search"), info=word("field.search.info"), elem_id="runs-search"),
            "tags": gr.Textbox("", label=word("field.with_tags"), min_width=140, elem_id="runs-with-tags"),
            "sort": gr.Dropdown(
                list(COLUMNS),
                value=COLUMNS[0],
                allow_custom_value=True,
                label=word("field.sort"),
                min_width=140,
                elem_id="runs-sort",
            ),
            "descending": control(RunsSettings, "descending", min_width=120),
            "limit": control(RunsSettings, "limit", label=word("field.runs_limit"), min_width=100),
        }


@dataclass(frozen=True)
class _Chosen:
    """The lower half: which runs, what of them, and what came out."""

    jobs: gr.Dropdown
    curves: Controls
    figure: Controls
    table_type: gr.Dropdown
    tags: gr.Textbox
    buttons: dict[str, gr.Button]
    view: gr.HTML
    result: gr.JSON
    files: gr.File

    @classmethod
    def lay_out(cls) -> _Chosen:
        jobs = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label=word("field.jobs"),
            info=word("field.jobs.info"),
            elem_id="runs-jobs",
        )
        with gr.Row():
            curves: Controls = {
                "metric": gr.Dropdown(
                    [""], value="", allow_custom_value=True, label=word("field.metric"), elem_id="runs-metric"
                ),
                "smoothing": control(CurveSettings, "smoothing", min_width=140),
                "log_scale": control(CurveSettings, "log_scale", min_width=120),
            }
            figure: Controls = {
                name: control(FigureSettings, name, min_width=140, elem_id=f"runs-{name}")
                for name in ("figure", "model", "file_type")
            }
            figure["model"].info = word("field.figure_model.info")
            types = gr.Dropdown(list(TABLE_TYPES), value=TABLE_TYPES[0], label=word("field.table_type"), min_width=140)
            tags = gr.Textbox("", label=word("field.new_tags"), min_width=140, elem_id="runs-tags")
        with gr.Row():
            buttons = {
                name: gr.Button(word(f"runs.{name}"), size="sm", min_width=110, elem_id=f"runs-{name}-run")
                for name in BUTTONS
            }
        view = gr.HTML(label="view", elem_id="runs-chosen")
        files = gr.File(label="files", visible=False, interactive=False, elem_id="runs-files")
        return cls(jobs, curves, figure, types, tags, buttons, view, gr.JSON(label="result", visible=False), files)


def _wire_table(by: RunsHandlers, filters: Controls, table: gr.HTML, chosen: _Chosen, panel: gr.Tab) -> None:
    """Look again when the panel opens and when the filter changes."""
    outputs = [table, chosen.jobs, filters["sort"], chosen.curves["metric"]]
    opened = partial(gr.on, [panel.select])
    look_up(opened, by.open, Endpoint("runs_open", filters, outputs, public=False), **QUIET)
    changed = partial(gr.on, [*(filters[name].submit for name in ("search", "tags")), *_inputs(filters)])
    listed = Endpoint("runs_list", filters, [table, gr.JSON(label="result", visible=False)])
    look_up(changed, by.list, listed, trigger_mode="always_last", **HIDDEN)


def _inputs(filters: Controls) -> list[Any]:
    return [filters[name].input for name in ("kind", "sort", "descending", "limit")]


def _wire_chosen(by: RunsHandlers, chosen: _Chosen) -> None:
    """Curves, figures and tables of the chosen runs."""
    jobs, click = {"jobs": chosen.jobs}, {name: button.click for name, button in chosen.buttons.items()}
    shown = [chosen.view, chosen.result]
    look_up(click["curves"], by.curves, Endpoint("runs_curves", {**jobs, **chosen.curves}, shown))
    drawn = Endpoint("runs_figure", {**jobs, **chosen.curves, **chosen.figure}, [chosen.view, chosen.files])
    compute(click["figure"], by.figure, drawn)
    look_up(
        click["export"], by.export, Endpoint("runs_export", {**jobs, "file_type": chosen.table_type}, [chosen.files])
    )


def _wire_changes(by: RunsHandlers, filters: Controls, table: gr.HTML, chosen: _Chosen) -> None:
    """Tag and delete; the table is looked at again, and no deleted run stays chosen."""
    jobs = {"jobs": chosen.jobs}
    tagged = look_up(
        chosen.buttons["tag"].click, by.tag, Endpoint("runs_tag", {**jobs, "tags": chosen.tags}, [chosen.view])
    )
    deleted = look_up(chosen.buttons["delete"].click, by.delete, Endpoint("runs_delete", jobs, [chosen.view]))
    outputs = [table, chosen.jobs, filters["sort"], chosen.curves["metric"]]
    for name, done in (("tagged", tagged), ("deleted", deleted)):
        look_up(done.success, by.open, Endpoint(f"runs_{name}", filters, outputs, public=False), **QUIET)
    deleted.success(None, outputs=chosen.jobs, js="() => []", api_visibility="private")
