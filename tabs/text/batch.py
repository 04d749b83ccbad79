"""Text batch: one task over a whole file, as a job that outlives the page."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.catalogue import TASKS, find_task, model_choices
from core.errors import InvalidInput
from core.jobs import JobView
from core.settings import LIMITS, PROJECT
from core.tables import FORMATS, guess_text_column, read_table
from core.tasks.text.batch import (
    KIND,
    SUMMARY_FILE,
    TextBatchSettings,
    collect,
    distribution,
    read_rows,
    run_batch,
    status_counts,
)
from core.tasks.text.row_tasks import ROW_TASKS
from core.words import say
from tabs._events import Endpoint, Visit, follow, look_up
from tabs._files import offer
from tabs._form import control
from tabs._language import word
from tabs._views import counts, failure, notes, progress_bar, ran_on, table

TITLE = "task.text_batch"
API_NAME = "text_batch"
LOOK_SECONDS = 0.5
SAMPLE = PROJECT / "assets" / "samples" / "reviews.csv"

Shown = tuple[str, Any, Any, Any]
"""(view, job id, result files, provenance)"""


def build(atelier: Atelier, wishes: dict[str, Any], page: gr.Blocks) -> None:
    """Lay out the panel and wire `/text_batch`, its stop, and the way back to a job after a reload."""

    def _text_batch(visit: Visit, file: str | None, **values: Any) -> Generator[Shown]:
        """Run one text task over every row of a file (CSV, TSV, JSONL, Parquet); returns the table as CSV and Parquet."""
        if not file:
            raise InvalidInput("error.file_missing", formats=", ".join(FORMATS))
        settings = TextBatchSettings(file=file, **values)
        _check_column(settings)
        settings.spec(atelier.registry, settings.task)  # a bad model name is refused before the job is
        job = atelier.jobs.start(
            KIND,
            settings,
            lambda handle: run_batch(handle, settings, atelier.registry),
            owner=_owner(atelier, visit),
            once_key=repr(settings),
        )
        yield from _watch(atelier, visit, job)

    def _text_batch_job(visit: Visit, job: str | None) -> Generator[Shown]:
        """Follow a batch by its id, or your latest one, from any browser: its progress and then its result."""
        found = job or _latest(atelier, visit)
        if found:
            yield from _watch(atelier, visit, found)
        else:
            yield _nothing_yet(visit)

    def _text_batch_stop(visit: Visit, job: str | None) -> str:
        """Ask a batch to stop; the rows that are done are kept."""
        found = job or _latest(atelier, visit)
        if not found:
            raise InvalidInput("error.no_job")
        return atelier.jobs.stop(found, owner=_owner(atelier, visit)).value

    def _columns(_: Visit, file: str | None) -> Any:
        """Read the header of an upload and guess the column with the text."""
        if not file:
            return gr.Dropdown(choices=[], value=None)
        read = read_table(Path(file))
        return gr.Dropdown(choices=list(read.columns), value=guess_text_column(read))

    def _models(_: Visit, task: str) -> tuple[Any, Any, Any]:
        """Offer the models of the chosen task, and the fields it needs."""
        name = find_task(task).name
        return (
            gr.Dropdown(choices=model_choices(name), value=TASKS[name].starter),
            gr.Textbox(visible=name == "zero-shot-classification"),
            gr.Textbox(visible=name == "question-answering"),
        )

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            inputs = _inputs()
            with gr.Row():
                run = gr.Button(word("run"), variant="primary", elem_id=f"{API_NAME}-run")
                stop = gr.Button(word("stop"), elem_id=f"{API_NAME}-stop")
            gr.Examples([[str(SAMPLE)]], [inputs["file"]], label=word("examples"), api_visibility="private")
            job = gr.Textbox(label="job", info=word("field.job.info"), value="", elem_id=f"{API_NAME}-job")
            again = gr.Button(word("show_job"), size="sm", elem_id=f"{API_NAME}-show")
        with gr.Column(scale=1, min_width=320):
            view = gr.HTML(f'<p class="empty">{word("empty_batch")}</p>', label="view", elem_id=f"{API_NAME}-view")
            result = gr.File(label="result", file_count="multiple", elem_id=f"{API_NAME}-result")
            provenance = gr.JSON(label="provenance", elem_id=f"{API_NAME}-provenance")
            stopped = gr.Textbox(label="state", visible=False)
    shown = [view, job, result, provenance]
    follow(run.click, _text_batch, Endpoint(API_NAME, {**inputs, **wishes}, shown))
    follow(again.click, _text_batch_job, Endpoint("text_batch_job", {"job": job}, shown))
    follow(page.load, _text_batch_job, Endpoint("text_batch_reattach", {"job": gr.State(None)}, shown, public=False))
    look_up(stop.click, _text_batch_stop, Endpoint("text_batch_stop", {"job": job}, [stopped]))
    look_up(inputs["file"].change, _columns, Endpoint("text_batch_columns", {"file": inputs["file"]}, [inputs["column"]], public=False))
    fields = [inputs[name] for name in ("model", "labels", "question")]
    look_up(inputs["task"].change, _models, Endpoint("text_batch_models", {"task": inputs["task"]}, fields, public=False))


def _inputs() -> dict[str, Any]:
    task = next(iter(ROW_TASKS))
    return {
        "file": gr.File(
            label=word("field.file"), file_types=list(FORMATS), elem_id=f"{API_NAME}-file"
        ),
        "column": gr.Dropdown(
            choices=[], value="", allow_custom_value=True, label=word("field.column"), info=word("field.column.info"),
            elem_id=f"{API_NAME}-column",
        ),
        "task": gr.Dropdown(
            choices=list(ROW_TASKS), value=task, label=word("field.task"), allow_custom_value=True,
            elem_id=f"{API_NAME}-task",
        ),
        "model": gr.Dropdown(
            choices=model_choices(task), value=TASKS[task].starter, allow_custom_value=True, label=word("field.model"),
            info=word("field.model.info"), elem_id=f"{API_NAME}-model",
        ),
        "labels": control(TextBatchSettings, "labels", visible=False, elem_id=f"{API_NAME}-labels"),
        "question": control(TextBatchSettings, "question", visible=False, elem_id=f"{API_NAME}-question"),
    }


def _check_column(settings: TextBatchSettings) -> None:
    """Refuse an unreadable file or a missing column at once, not from inside the job."""
    read = read_table(Path(settings.file))
    read.column(settings.column or guess_text_column(read))


def _owner(atelier: Atelier, visit: Visit) -> str | None:
    """On one's own machine every browser is the same person; elsewhere a visitor sees only their own jobs."""
    return None if atelier.settings.alone else visit.visitor


def _latest(atelier: Atelier, visit: Visit) -> str | None:
    found = [view for view in atelier.jobs.list(owner=_owner(atelier, visit)) if view.kind == KIND]
    alive = [view for view in found if view.state.alive]
    return (alive or found)[0].id if found else None


def _watch(atelier: Atelier, visit: Visit, job: str) -> Generator[Shown]:
    """Show a job until it ends; leaving the page ends the watching, not the job."""
    owner, last, counted, shown = _owner(atelier, visit), 0, [], ""
    while not visit.cancel.cancelled:
        news = atelier.jobs.follow(job, after=last, owner=owner)
        last = news.last
        counted = next((event.payload for event in reversed(news.events) if event.name == "distribution"), counted)
        if news.over:
            break
        shown, before = _running(atelier.jobs.view(job, owner=owner), counted, visit), shown
        if shown != before:
            yield shown, job, None, None
        time.sleep(LOOK_SECONDS)
    yield _ended(atelier, visit, atelier.jobs.view(job, owner=owner))


def _running(view: JobView, counted: list[Any], visit: Visit) -> str:
    waiting = notes([view.waiting], visit.language) if view.waiting else ""
    state = say(f"say.state_{view.state.value}")
    return progress_bar(state, view.progress, visit.language) + waiting + counts(counted)


def _ended(atelier: Atelier, visit: Visit, view: JobView) -> Shown:
    folder = atelier.jobs.result_folder(view.id, owner=_owner(atelier, visit))
    settings = TextBatchSettings(**view.settings)
    rows, paths = read_rows(folder), collect(folder, settings)
    parts = [progress_bar(say(f"say.state_{view.state.value}"), view.progress, visit.language)]
    if view.error:
        parts.append(failure(view.error, visit.language))
    provenance = None
    if rows:
        parts.append(notes([say("say.row_counts", **status_counts(rows))], visit.language))
        parts.append(counts(distribution(rows, settings.task)))
        parts.append(_preview(rows, settings, visit))
    if (folder / SUMMARY_FILE).exists():
        provenance = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
        parts.append(ran_on(provenance, visit.language))
    return "".join(parts), view.id, [offer(atelier, path) for path in paths] or None, provenance


def _preview(rows: list[Any], settings: TextBatchSettings, visit: Visit) -> str:
    task = ROW_TASKS[settings.task]
    head = [visit.say(say("say.row")), *task.columns, "status"]
    shown = [
        [
            row.place + 1,
            *((task.cells(row.result) if row.result is not None else {}).get(name, "") for name in task.columns),
            row.problem or ("blank" if row.blank else "ok"),
        ]
        for row in rows[: LIMITS.table_preview_rows]
    ]
    return table(head, shown)


def _nothing_yet(visit: Visit) -> Shown:
    return f'<p class="empty">{visit.say(say("say.empty_batch"))}</p>', "", None, None
