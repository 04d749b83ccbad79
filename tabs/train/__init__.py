"""The Train tab: choose task, base, method and data; look, plan, start; watch it learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.settings import Capability
from tabs._events import QUIET, Endpoint, compute, follow, look_up
from tabs._language import word
from tabs.train._desk import TrainHandlers
from tabs.train._form import (
    Controls,
    further_controls,
    groups,
    main_controls,
    method_chosen,
    task_chosen,
)

TITLE = "tab.train"


def build(atelier: Atelier, _: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out form, plan and run, and wire them."""
    if not atelier.settings.allows(Capability.TRAIN):
        gr.Markdown(word("train.closed"))
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            form = main_controls()
            with gr.Row():
                row = gr.Number(
                    0, label=word("field.row"), info=word("field.row.info"), precision=0, minimum=0, elem_id="train-row"
                )
                data = gr.Button(word("train.data"), elem_id="train-data-run")
            with gr.Accordion(word("more"), open=False, elem_id="train-further"):
                form.update(further_controls())
            folds = groups(form)
            with gr.Row():
                plan = gr.Button(word("train.plan"), elem_id="train-plan-run")
                start = gr.Button(word("train.start"), variant="primary", elem_id="train-start")
        with gr.Column(scale=1, min_width=320):
            seen = _Seen.lay_out()
    by = TrainHandlers(atelier)
    _wire_form(form, folds, by)
    compute(data.click, by.data, Endpoint("train_data", {**form, "row": row}, [seen.looked, seen.looked_json]))
    compute(plan.click, by.plan, Endpoint("train_plan", form, [seen.looked, seen.looked_json]))
    _wire_run(by, seen, start, form)
    follow(tab.select, by.follow, Endpoint("train_reattach", {"job": gr.State(None)}, seen.shown, public=False))
    look_up(tab.select, by.runs, Endpoint("train_list", {}, [seen.runs, seen.runs_json]), **QUIET)


@dataclass(frozen=True)
class _Seen:
    """The right half: what was looked at, the run, and all runs."""

    looked: gr.HTML
    looked_json: gr.JSON
    run: gr.HTML
    run_json: gr.JSON
    job: gr.Textbox
    stop: gr.Button
    resume: gr.Button
    merge: gr.Button
    again: gr.Button
    runs: gr.HTML
    runs_json: gr.JSON

    @property
    def shown(self) -> list[Any]:
        """The outputs of whoever follows a run."""
        return [self.run, self.job, self.run_json]

    @classmethod
    def lay_out(cls) -> _Seen:
        looked = gr.HTML(f'<p class="empty">{word("empty_train")}</p>', label="view", elem_id="train-looked")
        run = gr.HTML(label="view", elem_id="train-view")
        with gr.Row():
            stop = gr.Button(word("stop"), size="sm", elem_id="train-stop")
            resume = gr.Button(word("resume"), size="sm", elem_id="train-resume")
            merge = gr.Button(word("train.merge"), size="sm", elem_id="train-merge")
        with gr.Accordion(word("train.runs"), open=False, elem_id="train-runs-panel"):
            runs = gr.HTML(label="view", elem_id="train-runs")
            job = gr.Textbox("", label="job", info=word("field.train_job.info"), elem_id="train-job")
            again = gr.Button(word("show_job"), size="sm", elem_id="train-show")
        hidden = [gr.JSON(label="result", visible=False) for _ in range(3)]
        return cls(looked, hidden[0], run, hidden[1], job, stop, resume, merge, again, runs, hidden[2])


def _wire_form(form: Controls, folds: list[Any], by: TrainHandlers) -> None:
    """Let the task choose bases, methods and samples, and the data their columns."""
    chosen = [form["model"], form["method"], form["dataset"], *folds]
    look_up(
        form["task"].input, task_chosen, Endpoint("train_task", {"task": form["task"]}, chosen, public=False), **QUIET
    )
    look_up(form["method"].input, method_chosen, Endpoint("train_method", {}, folds, public=False), **QUIET)
    for source in ("file", "dataset"):
        guess = Endpoint(f"train_guess_{source}", form, [form["columns"]], public=False)
        compute(form[source].change, by.guess, guess, show_progress="hidden")


def _wire_run(by: TrainHandlers, seen: _Seen, start: gr.Button, form: Controls) -> None:
    """Start, follow, stop, go on: whoever starts or resumes watches."""
    job = {"job": seen.job}
    stopped = gr.Textbox(label="state", visible=False)
    started = compute(start.click, by.start, Endpoint("train_start", form, [seen.run, seen.job]))
    resumed = look_up(seen.resume.click, by.resume, Endpoint("train_resume", job, [seen.run, seen.job]))
    for place, begun in enumerate((started, resumed)):
        follow(begun.success, by.follow, Endpoint(f"train_follow_{place}", job, seen.shown, public=False))
    follow(seen.again.click, by.follow, Endpoint("train_follow", job, seen.shown, public=False))
    look_up(seen.stop.click, by.stop, Endpoint("train_stop", job, [stopped]))
    compute(seen.merge.click, by.merge, Endpoint("train_merge", job, [seen.looked, seen.looked_json]))
    # Without a button: for programs, which ask once instead of following.
    ask = gr.Button(visible=False)
    look_up(ask.click, by.status, Endpoint("train_status", job, [seen.run, seen.run_json]))
