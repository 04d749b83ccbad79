"""The Train tab: choose task, base, method and data; look, plan, start; watch it learn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.settings import Capability
from tabs._events import HIDDEN, QUIET, Endpoint, compute, follow, look_up
from tabs._language import word
from tabs.train._after import FILLED, AfterHandlers
from tabs.train._desk import TrainHandlers
from tabs.train._form import FIRST, Controls, further_controls, groups, main_controls, method_chosen

TITLE = "tab.train"


def build(atelier: Atelier, _: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out form, plan and run, and wire them."""
    if not atelier.settings.allows(Capability.TRAIN):
        gr.Markdown(word("train.closed"))
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            form, held = main_controls(atelier.train_desk.bases(FIRST))
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
    _wire_form(_Form(form, held, folds), by)
    compute(data.click, by.data, Endpoint("train_data", {**form, "row": row}, [seen.looked, seen.looked_json]))
    compute(plan.click, by.plan, Endpoint("train_plan", form, [seen.looked, seen.looked_json]))
    _wire_run(by, seen, start, form)
    _wire_finished(AfterHandlers(atelier), by, seen, _Form(form, held, folds))
    follow(tab.select, by.follow, Endpoint("train_reattach", {"job": gr.State(None)}, seen.shown, public=False))
    opened = partial(gr.on, [tab.select, seen.all_runs.expand])
    look_up(opened, by.runs, Endpoint("train_list", {}, [seen.runs, seen.runs_json]), **QUIET)


@dataclass(frozen=True)
class _Form:
    """The left half."""

    controls: Controls
    held: gr.State
    """What can be chosen as columns."""
    folds: list[Any]

    @property
    def columns(self) -> list[Any]:
        """The outputs of a guess."""
        return [self.controls["columns"], self.held]


@dataclass(frozen=True)
class _Seen:
    """The right half: what was looked at, the run and what can be done with it, and all runs."""

    looked: gr.HTML
    looked_json: gr.JSON
    run: gr.HTML
    run_json: gr.JSON
    stop: gr.Button
    resume: gr.Button
    finished: _Finished
    all_runs: gr.Accordion
    job: gr.Dropdown
    runs: gr.HTML
    runs_json: gr.JSON

    @property
    def shown(self) -> list[Any]:
        """The outputs of whoever follows a run."""
        after = self.finished
        return [self.run, self.job, self.run_json, self.stop, self.resume, after.column, after.question, after.files]

    @classmethod
    def lay_out(cls) -> _Seen:
        looked = gr.HTML(f'<p class="empty">{word("empty_train")}</p>', label="view", elem_id="train-looked")
        run = gr.HTML(label="view", elem_id="train-view")
        with gr.Row():
            stop = gr.Button(word("stop"), size="sm", visible=False, elem_id="train-stop")
            resume = gr.Button(word("resume"), size="sm", visible=False, elem_id="train-resume")
        finished = _Finished.lay_out()
        with gr.Accordion(word("train.runs"), open=False, elem_id="train-runs-panel") as panel:
            job = gr.Dropdown(
                [],
                value="",
                allow_custom_value=True,
                label="job",
                info=word("field.train_job.info"),
                elem_id="train-job",
            )
            runs = gr.HTML(label="view", elem_id="train-runs")
        hidden = [gr.JSON(label="result", visible=False) for _ in range(3)]
        return cls(looked, hidden[0], run, hidden[1], stop, resume, finished, panel, job, runs, hidden[2])


@dataclass(frozen=True)
class _Finished:
    """What a finished run offers; seen only beside one."""

    column: gr.Column
    text: gr.Textbox
    question: gr.Textbox
    compare: gr.Button
    answers: gr.HTML
    answers_json: gr.JSON
    again: gr.Button
    merge: gr.Button
    export: gr.Button
    evaluate: gr.Button
    evaluation: gr.Textbox
    """The job of the evaluation that was started from here."""
    files: gr.File

    @classmethod
    def lay_out(cls) -> _Finished:
        with gr.Column(visible=False, elem_id="train-finished") as column:
            text = gr.Textbox(
                label=word("field.train_text"), info=word("field.train_text.info"), lines=2, elem_id="train-text"
            )
            question = gr.Textbox("", label=word("field.question"), visible=False, elem_id="train-question")
            compare = gr.Button(word("train.compare"), size="sm", elem_id="train-compare")
            answers = gr.HTML(label="view", elem_id="train-answers")
            with gr.Row():
                again = gr.Button(word("train.continue"), size="sm", min_width=120, elem_id="train-continue")
                merge = gr.Button(word("train.merge"), size="sm", min_width=120, elem_id="train-merge")
                export = gr.Button(word("train.export"), size="sm", min_width=120, elem_id="train-export")
                evaluate = gr.Button(word("train.evaluate"), size="sm", min_width=120, elem_id="train-evaluate")
            evaluation = gr.Textbox(label="job", visible=False)
            files = gr.File(
                label="files", file_count="multiple", visible=False, interactive=False, elem_id="train-files"
            )
        hidden = gr.JSON(label="result", visible=False)
        return cls(column, text, question, compare, answers, hidden, again, merge, export, evaluate, evaluation, files)


def _wire_form(form: _Form, by: TrainHandlers) -> None:
    """Let the task choose bases, methods and samples, and the data their columns."""
    on, folds = form.controls, form.folds
    chosen = Endpoint(
        "train_task",
        {"task": on["task"]},
        [on["model"], on["method"], on["dataset"], *form.columns, *folds],
        public=False,
    )
    picked = look_up(on["task"].input, by.task, chosen, **QUIET)
    look_up(on["method"].input, method_chosen, Endpoint("train_method", {}, folds, public=False), **QUIET)
    guesses: tuple[tuple[str, Any, Any, list[Any]], ...] = (
        ("task", picked.success, by.guess, []),
        ("file", on["file"].change, by.guess_of_file, [on["dataset"]]),
        ("dataset", on["dataset"].change, by.guess_of_dataset, [on["file"]]),
    )
    for name, trigger, guess, other in guesses:
        told = Endpoint(f"train_guess_{name}", on, [*other, *form.columns], public=False)
        compute(trigger, guess, told, trigger_mode="always_last", **HIDDEN)


def _wire_run(by: TrainHandlers, seen: _Seen, start: gr.Button, form: Controls) -> None:
    """Start, follow, stop, go on: whoever starts or resumes watches."""
    job = {"job": seen.job}
    stopped = gr.Textbox(label="state", visible=False)
    started = compute(start.click, by.start, Endpoint("train_start", form, [seen.run, seen.job]))
    resumed = look_up(seen.resume.click, by.resume, Endpoint("train_resume", job, [seen.run, seen.job]))
    for place, begun in enumerate((started, resumed)):
        follow(begun.success, by.follow, Endpoint(f"train_follow_{place}", job, seen.shown, public=False))
    follow(seen.job.input, by.follow, Endpoint("train_follow", job, seen.shown, public=False))
    look_up(seen.job.focus, by.choices, Endpoint("train_choices", {}, [seen.job], public=False), **QUIET)
    look_up(seen.stop.click, by.stop, Endpoint("train_stop", job, [stopped]))
    # Without a button: for programs, which ask once instead of following.
    ask = gr.Button(visible=False)
    look_up(ask.click, by.status, Endpoint("train_status", job, [seen.run, seen.run_json]))


def _wire_finished(after: AfterHandlers, by: TrainHandlers, seen: _Seen, form: _Form) -> None:
    """Compare, merge, take along, evaluate, train on; a form that was filled has its columns guessed as if typed."""
    have, job = seen.finished, {"job": seen.job}
    asked = {"text": have.text, "question": have.question, **job}
    compute(have.compare.click, after.compare, Endpoint("train_compare", asked, [have.answers, have.answers_json]))
    compute(have.merge.click, after.merge, Endpoint("train_merge", job, [seen.looked, seen.looked_json]))
    compute(have.export.click, after.export, Endpoint("train_export", job, [have.files]))
    begun = Endpoint("evaluate_run", job, [seen.looked, have.evaluation])
    compute(have.evaluate.click, after.evaluate, begun)
    filled = [form.controls[name] for name in FILLED]
    told = Endpoint("train_continue", job, [*filled, *form.folds, seen.looked], public=False)
    ready = look_up(have.again.click, after.train_on, told, **HIDDEN)
    guess = Endpoint("train_guess_again", form.controls, form.columns, public=False)
    compute(ready.success, by.guess, guess, trigger_mode="always_last", **HIDDEN)
