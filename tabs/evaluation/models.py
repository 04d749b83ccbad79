"""Models evaluated on the same rows: choose, start, watch; then cards, comparisons, charts and rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.evaluation.row_choice import ORDERS, WORST
from tabs._events import HIDDEN, QUIET, Endpoint, compute, follow, look_up
from tabs._language import word
from tabs._numbers import Number
from tabs.evaluation._desk import EvaluateHandlers
from tabs.evaluation._details_view import CHOOSE
from tabs.evaluation._form import OF_TASKS, Controls, further_controls, main_controls

TITLE = "evaluate.models"


def build(atelier: Atelier, tab: gr.Tab, panel: gr.Tab) -> None:
    """Lay out form, result, details and rows, and wire them."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            form = main_controls()
            with gr.Accordion(word("more"), open=False, elem_id="evaluate-more"):
                form.update(further_controls())
            start = gr.Button(word("evaluate.start"), variant="primary", elem_id="evaluate-start")
        with gr.Column(scale=1, min_width=320):
            run = _Run.lay_out()
    one = _One.lay_out()
    by = EvaluateHandlers(atelier)
    opened = partial(gr.on, [tab.select, panel.select])
    _wire_form(form, by, opened)
    _wire_run(by, run, one, start, form, opened)
    _wire_one(by, run, one)
    _wire_comparison(by, run, one)


@dataclass(frozen=True)
class _Run:
    """The right half: the evaluation, and which one it is."""

    view: gr.HTML
    result: gr.JSON
    stop: gr.Button
    job: gr.Dropdown

    @classmethod
    def lay_out(cls) -> _Run:
        empty = f'<p class="empty">{word("empty_evaluate")}</p>'
        view = gr.HTML(empty, label="view", elem_id="evaluate-view")
        stop = gr.Button(word("stop"), size="sm", visible=False, elem_id="evaluate-stop")
        job = gr.Dropdown(
            [],
            value="",
            allow_custom_value=True,
            label="job",
            info=word("field.evaluate_job.info"),
            elem_id="evaluate-job",
        )
        return cls(view, gr.JSON(label="result", visible=False), stop, job)


@dataclass(frozen=True)
class _One:
    """Below: one model in detail, its rows, and another evaluation to compare with; seen once a model is done."""

    column: gr.Column
    model: gr.Dropdown
    other: gr.Dropdown
    order: gr.Dropdown
    details: gr.HTML
    rows: gr.HTML
    rows_json: gr.JSON
    place: tuple[gr.Textbox, gr.Textbox, Number]
    """Expected and predicted label of a cell, and the first row of the page."""
    comparison: _Comparison
    code: gr.Markdown

    @property
    def of_rows(self) -> list[Any]:
        """The outputs of whoever shows rows."""
        return [self.rows, self.rows_json, *self.place]

    @property
    def wanted(self) -> dict[str, Any]:
        """The inputs that say which rows."""
        names = ("expected", "predicted", "first")
        chosen = {"model": self.model, "other_model": self.other, "order": self.order}
        return chosen | dict(zip(names, self.place, strict=True))

    @classmethod
    def lay_out(cls) -> _One:
        with gr.Column(visible=False, elem_id="evaluate-one") as column:
            with gr.Row():
                model = _free_choice("evaluated_model", "evaluate-model")
                other = _free_choice("other_model", "evaluate-other")
                order = gr.Dropdown(
                    [(word(f"order.{name}"), name) for name in ORDERS],
                    value=WORST,
                    allow_custom_value=True,
                    label=word("field.order"),
                    min_width=180,
                    elem_id="evaluate-order",
                )
            details = gr.HTML(label="view", js_on_load=CHOOSE, elem_id="evaluate-details")
            rows = gr.HTML(label="view", js_on_load=CHOOSE, elem_id="evaluate-rows")
            comparison = _Comparison.lay_out()
            with gr.Accordion(word("code"), open=False, elem_id="evaluate-code-panel"):
                code = gr.Markdown(label="snippets", elem_id="evaluate-code")
        place = (
            gr.Textbox("", label="expected", elem_id="evaluate-expected", visible="hidden"),
            gr.Textbox("", label="predicted", elem_id="evaluate-predicted", visible="hidden"),
            Number(1, label="first", elem_id="evaluate-first", visible="hidden"),
        )
        found = gr.JSON(label="result", visible=False)
        return cls(column, model, other, order, details, rows, found, place, comparison, code)


@dataclass(frozen=True)
class _Comparison:
    """Another evaluation on the same data, of another day perhaps."""

    job: gr.Dropdown
    model: gr.Dropdown
    run: gr.Button
    view: gr.HTML
    result: gr.JSON

    @classmethod
    def lay_out(cls) -> _Comparison:
        with gr.Accordion(word("evaluate.compare_title"), open=False, elem_id="evaluate-compare-panel"):
            with gr.Row():
                job = _free_choice("other_job", "evaluate-other-job")
                model = _free_choice("model_of_other", "evaluate-model-of-other")
            run = gr.Button(word("evaluate.compare"), size="sm", elem_id="evaluate-compare")
            view = gr.HTML(label="view", elem_id="evaluate-compared")
        return cls(job, model, run, view, gr.JSON(label="result", visible=False))


def _free_choice(name: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], value="", allow_custom_value=True, label=word(f"field.{name}"), min_width=180, elem_id=elem_id
    )


def _wire_form(form: Controls, by: EvaluateHandlers, opened: Any) -> None:
    """Let the task choose models, data, metrics and fields; of upload and data set the last one chosen stands."""
    task = {"task": form["task"]}
    changed = [form[name] for name in ("models", "dataset", "metrics", *OF_TASKS)]
    look_up(form["task"].input, by.task, Endpoint("evaluate_task", task, changed, public=False), **HIDDEN)
    offers = Endpoint("evaluate_offers", task, [form["models"], form["dataset"]], public=False)
    look_up(opened, by.offers, offers, **QUIET)
    uploaded = Endpoint("evaluate_uploaded", {"file": form["file"]}, [form["dataset"]], public=False)
    look_up(form["file"].upload, by.uploaded, uploaded, **QUIET)
    named = Endpoint("evaluate_named", {"dataset": form["dataset"]}, [form["file"]], public=False)
    look_up(form["dataset"].input, by.named, named, **QUIET)


def _wire_run(by: EvaluateHandlers, run: _Run, one: _One, start: gr.Button, form: Controls, opened: Any) -> None:
    """Start, follow, stop: whoever starts watches, and so does whoever opens the tab."""
    job = {"job": run.job}
    seen = [run.view, run.job, run.stop, one.column, one.code, one.model, one.other, one.details, *one.of_rows]
    started = compute(start.click, by.start, Endpoint("evaluate_start", form, [run.view, run.job]))
    watching: tuple[tuple[str, Any, Any], ...] = (
        ("evaluate_follow_started", started.success, run.job),
        ("evaluate_follow", run.job.input, run.job),
        ("evaluate_reattach", opened, gr.State(None)),
    )
    for name, trigger, which in watching:  # "multiple": a new look ends the one before (tabs/evaluation/_watched.py)
        shown = Endpoint(name, {"job": which}, seen, public=False)
        follow(trigger, by.follow, shown, trigger_mode="multiple")
    look_up(run.job.focus, by.choices, Endpoint("evaluate_choices", {}, [run.job], public=False), **QUIET)
    stopped = gr.Textbox(label="state", visible=False)
    look_up(run.stop.click, by.stop, Endpoint("evaluate_stop", job, [stopped]))
    # Without a button: for programs, which ask once instead of following.
    ask = gr.Button(visible=False)
    look_up(ask.click, by.status, Endpoint("evaluate_status", job, [run.view, run.result]))


def _wire_one(by: EvaluateHandlers, run: _Run, one: _One) -> None:
    """Let the model choose details and rows, and a click on a cell, or on a page, other rows."""
    job = {"job": run.job}
    whose = {**job, "model": one.model, "other_model": one.other, "order": one.order}
    details = Endpoint("evaluate_details", whose, [one.details, *one.of_rows], public=False)
    look_up(one.model.input, by.details, details, **HIDDEN)
    asked, changed = {**job, **one.wanted}, partial(gr.on, [one.other.input, one.order.input])
    look_up(changed, by.first_rows, Endpoint("evaluate_first_rows", asked, one.of_rows, public=False), **HIDDEN)
    chosen = partial(gr.on, [one.details.click, one.rows.click])
    look_up(chosen, by.chosen_rows, Endpoint("evaluate_chosen_rows", asked, one.of_rows, public=False), **HIDDEN)
    ask = gr.Button(visible=False)
    look_up(ask.click, by.rows, Endpoint("evaluate_rows", asked, [one.rows, one.rows_json]))


def _wire_comparison(by: EvaluateHandlers, run: _Run, one: _One) -> None:
    """Compare with a model of another evaluation."""
    other = one.comparison
    look_up(other.job.focus, by.choices, Endpoint("evaluate_others", {}, [other.job], public=False), **QUIET)
    offered = Endpoint("evaluate_models_of", {"other_job": other.job}, [other.model], public=False)
    look_up(other.job.input, by.models_of, offered, **HIDDEN)
    asked = {"job": run.job, "model": one.model, "other_job": other.job, "other_model": other.model}
    compute(other.run.click, by.compare, Endpoint("evaluate_compare", asked, [other.view, other.result]))
