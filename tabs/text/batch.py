"""Text batch: one task over a whole file, as a job that outlives the page."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.catalogue import TASKS, find_task, model_choices
from core.errors import InvalidInput
from core.settings import PROJECT
from core.tables import FORMATS, read_head
from core.tasks.text.batch import KIND, TextBatchSettings, run_batch
from core.tasks.text.row_tasks import ASKED_BY, ROW_TASKS
from tabs._events import Endpoint, Visit, follow, look_up
from tabs._form import control
from tabs._language import word
from tabs._owner import owner_of
from tabs.text._batch_view import Shown, nothing_yet, watch
from tabs.text._languages import language_control

TITLE = "task.text_batch"
API_NAME = "text_batch"
FIRST_TASK = next(iter(ROW_TASKS))
LANGUAGES = ("source_language", "target_language")
LABELS = {"max_new_tokens": "field.max_new_tokens_row"}
"""Where a field's usual words do not say what its 0 means here."""
SAMPLE = PROJECT / "assets" / "samples" / "reviews.csv"


def build(atelier: Atelier, wishes: dict[str, Any], tab: gr.Tab) -> None:
    """Lay out the panel and wire `/text_batch`, its stop, and the way back to a job where the panel is opened again."""
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
            outputs = _outputs(job)
            stopped = gr.Textbox(label="state", visible=False)
    by = _Handlers(atelier)
    follow(run.click, by.text_batch, Endpoint(API_NAME, {**inputs, **wishes}, outputs), trigger_mode="always_last")
    shown = follow(again.click, by.text_batch_job, Endpoint("text_batch_job", {"job": job}, outputs))
    reattach = Endpoint("text_batch_reattach", {"job": gr.State(None)}, outputs, public=False)
    opened = follow(tab.select, by.text_batch_job, reattach)
    run.click(None, cancels=[shown, opened], api_visibility="private")  # who begins anew no longer looks at what was
    look_up(stop.click, by.text_batch_stop, Endpoint("text_batch_stop", {"job": job}, [stopped]))
    _wire_form(atelier, inputs)


@dataclass(frozen=True)
class _Handlers:
    """What the panel's buttons do."""

    atelier: Atelier

    def text_batch(self, visit: Visit, file: str | None, **values: Any) -> Generator[Shown | None]:
        """Run one text task over every row of a file (CSV, TSV, JSONL, Parquet); gives CSV and Parquet back."""
        if not file:
            raise InvalidInput("error.file_missing", formats=", ".join(FORMATS))
        task = find_task(values.get("task", FIRST_TASK)).name
        if task != FIRST_TASK and values.get("model") == TASKS[FIRST_TASK].starter:
            values["model"] = ""  # a program that names no model has the page's first one, which is of another task
        settings, registry = TextBatchSettings(file=file, **values), self.atelier.registry
        _check_column(settings)
        settings.spec(registry, settings.task)  # a bad model name is refused before the job is
        job = self.atelier.jobs.start(
            KIND,
            settings,
            lambda handle: run_batch(handle, settings, registry),
            owner=owner_of(self.atelier, visit),
            once_key=repr(settings),
        )
        yield from watch(self.atelier, visit, job)
        self.atelier.jobs.view(job, owner=owner_of(self.atelier, visit)).raise_failure()

    def text_batch_job(self, visit: Visit, job: str | None) -> Generator[Shown | None]:
        """Follow a batch by its id, or your latest one, from any browser: its progress and then its result."""
        found = job or self._latest(visit)
        if found:
            yield from watch(self.atelier, visit, found)
        else:
            yield nothing_yet(visit)

    def text_batch_stop(self, visit: Visit, job: str | None) -> str:
        """Ask a batch to stop; the rows that are done are kept."""
        found = job or self._latest(visit)
        if not found:
            raise InvalidInput("error.no_job")
        return self.atelier.jobs.stop(found, owner=owner_of(self.atelier, visit)).value

    def _latest(self, visit: Visit) -> str | None:
        """Return the visitor's running batch, else the last one."""
        found = [view for view in self.atelier.jobs.list(owner=owner_of(self.atelier, visit)) if view.kind == KIND]
        alive = [view for view in found if view.state.alive]
        return (alive or found)[0].id if found else None


def _outputs(job: gr.Textbox) -> list[gr.components.Component]:
    view = gr.HTML(f'<p class="empty">{word("empty_batch")}</p>', label="view", elem_id=f"{API_NAME}-view")
    result = gr.File(label="result", file_count="multiple", elem_id=f"{API_NAME}-result")
    with gr.Accordion(word("code"), open=False, elem_id=f"{API_NAME}-code-panel"):
        code = gr.Markdown(label="snippets", elem_id=f"{API_NAME}-code")
    with gr.Accordion(word("provenance"), open=False):
        provenance = gr.JSON(label="provenance", elem_id=f"{API_NAME}-provenance")
    return [view, job, code, result, provenance]


def _wire_form(atelier: Atelier, inputs: dict[str, Any]) -> None:
    """Let the upload fill the columns, and the task its models and fields."""
    file, task = inputs["file"], inputs["task"]
    look_up(file.change, _columns, Endpoint("text_batch_columns", {"file": file}, [inputs["column"]], public=False))
    fields = [inputs[name] for name in ("model", *ASKED_BY)]
    look_up(task.change, _fields(atelier), Endpoint("text_batch_fields", {"task": task}, fields, public=False))


def _columns(_: Visit, file: str | None) -> Any:
    """Read the header of an upload and guess the column with the text."""
    if not file:
        return gr.Dropdown(choices=[], value="")
    head = read_head(Path(file))
    return gr.Dropdown(choices=list(head.columns), value=head.text_column)


def _fields(atelier: Atelier) -> Callable[[Visit, str], tuple[Any, ...]]:
    def fields(_: Visit, task: str) -> tuple[Any, ...]:
        """Offer the models of the chosen task, and the fields it needs."""
        name = find_task(task).name
        return (
            gr.Dropdown(choices=atelier.registry.choices(name), value=TASKS[name].starter),
            *(gr.update(visible=name in tasks) for tasks in ASKED_BY.values()),
        )

    return fields


def _inputs() -> dict[str, Any]:
    task = FIRST_TASK
    return {
        "file": gr.File(label=word("field.file"), file_types=list(FORMATS), elem_id=f"{API_NAME}-file"),
        "column": gr.Dropdown(
            choices=[],
            value="",
            allow_custom_value=True,
            label=word("field.column"),
            info=word("field.column.info"),
            elem_id=f"{API_NAME}-column",
        ),
        "task": gr.Dropdown(
            choices=list(ROW_TASKS),
            value=task,
            label=word("field.task"),
            allow_custom_value=True,
            elem_id=f"{API_NAME}-task",
        ),
        "model": gr.Dropdown(
            choices=model_choices(task),
            value=TASKS[task].starter,
            allow_custom_value=True,
            label=word("field.model"),
            info=word("field.model.info"),
            elem_id=f"{API_NAME}-model",
        ),
        **{name: _asked(name) for name in ASKED_BY},
    }


def _asked(name: str) -> Any:
    """Return the control of what only some tasks ask for; it shows once such a task is chosen."""
    hidden: dict[str, Any] = {"visible": False, "elem_id": f"{API_NAME}-{name}"}
    if name in LANGUAGES:
        return language_control(name, **hidden)
    return control(TextBatchSettings, name, **hidden, **({"label": word(LABELS[name])} if name in LABELS else {}))


def _check_column(settings: TextBatchSettings) -> None:
    """Refuse at once what the file's beginning shows, a missing column, say; the job, which reads all, the rest."""
    head = read_head(Path(settings.file))
    if settings.column:
        head.check(settings.column)
