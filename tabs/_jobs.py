"""The jobs drawer: all long work of an instance in one list, above every tab, found again from any browser."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import InvalidInput
from core.jobs.board import BoardRow
from core.jobs.runner import JobView, State
from core.settings import Capability
from core.words import say
from tabs._events import QUIET, Endpoint, Visit, look_up
from tabs._files import offer
from tabs._language import word
from tabs._owner import owner_of
from tabs._views import failure, in_progress, notes, paragraph, table

REFRESH_SECONDS = 2.0
"""How often an open drawer looks again."""
MOST_FILES = 50
LARGEST_FILE = 200_000_000
"""Larger results are not copied for the browser; they stay in the job's folder."""
COLUMNS = ("state", "kind", "name", "progress", "remaining")
BUTTONS = ("stop", "resume", "delete", "log", "result")


def build(atelier: Atelier, page: gr.Blocks) -> None:
    """Lay out the drawer, closed, and wire it; while it is closed, nothing is asked."""
    by = JobHandlers(atelier)
    with gr.Accordion(word("jobs"), open=False, elem_id="jobs") as drawer:
        view = gr.HTML(label="view", elem_id="jobs-view")
        found = gr.JSON(label="result", visible=False)
        job = gr.Dropdown(
            [],
            value="",
            allow_custom_value=True,
            label=word("field.any_job"),
            info=word("field.any_job.info"),
            elem_id="jobs-job",
        )
        with gr.Row():
            buttons = {
                name: gr.Button(word(f"jobs.{name}"), size="sm", min_width=90, elem_id=f"jobs-{name}")
                for name in BUTTONS
            }
        told = gr.HTML(label="view", elem_id="jobs-told")
        files = gr.File(label="files", file_count="multiple", visible=False, interactive=False, elem_id="jobs-files")
        timer = gr.Timer(REFRESH_SECONDS, active=False)
    state, one = gr.Textbox(label="state", visible=False), {"job": job}
    listed = Endpoint("jobs_list", {}, [view, found])
    look_up(timer.tick, by.list, listed, **QUIET)
    look_up(drawer.expand, by.open, Endpoint("jobs_open", {}, [view, job, timer], public=False), **QUIET)
    look_up(drawer.collapse, by.close, Endpoint("jobs_close", {}, [timer], public=False), **QUIET)
    look_up(job.focus, by.open, Endpoint("jobs_choices", {}, [view, job, timer], public=False), **QUIET)
    acts = {"stop": by.stop, "resume": by.resume, "delete": by.delete}
    for name, act in acts.items():
        done = look_up(buttons[name].click, act, Endpoint(f"job_{name}", one, [state]))
        look_up(done.success, by.open, Endpoint(f"jobs_after_{name}", {}, [view, job, timer], public=False), **QUIET)
    look_up(buttons["log"].click, by.log, Endpoint("job_log", one, [told]))
    look_up(buttons["result"].click, by.result, Endpoint("job_result", one, [told, files]))
    look_up(page.load, by.label, Endpoint("jobs_label", {}, [drawer], public=False), **QUIET)


@dataclass(frozen=True)
class JobHandlers:
    """What the drawer's buttons do."""

    atelier: Atelier

    def list(self, visit: Visit) -> tuple[str, Any]:
        """List your long work of every kind: state, place in line, progress, remaining time, and what can be done."""
        rows = self.atelier.board.rows(owner_of(self.atelier, visit))
        return _draw(rows, visit), [_as_dict(row) for row in rows]

    def open(self, visit: Visit) -> tuple[str, Any, Any]:
        """Show the list, offer its jobs, and keep looking."""
        rows = self.atelier.board.rows(owner_of(self.atelier, visit))
        choices = [(_name(row, visit), row.id) for row in rows]
        return (
            _draw(rows, visit),
            gr.Dropdown(choices=choices),
            gr.Timer(active=any(row.view.state.alive for row in rows)),
        )

    def close(self, _: Visit) -> Any:
        """Look no more."""
        return gr.Timer(active=False)

    def label(self, visit: Visit) -> Any:
        """Say on the closed drawer how many jobs wait or run."""
        alive = self.atelier.board.alive(owner_of(self.atelier, visit))
        return gr.Accordion(label=visit.say(say("say.jobs_alive", count=alive))) if alive else gr.skip()

    def stop(self, visit: Visit, job: str) -> str:
        """Ask a job to stop; what it has done so far is kept."""
        self._require(visit, job)
        return self.atelier.board.stop(job, owner_of(self.atelier, visit)).value

    def resume(self, visit: Visit, job: str) -> str:
        """Go on with a job that was stopped or died, where it is of a kind that can."""
        self._require(visit, job)
        owner = owner_of(self.atelier, visit)
        self.atelier.board.resume(job, owner)
        return self.atelier.board.row(job, owner).view.state.value

    def delete(self, visit: Visit, job: str) -> str:
        """Delete a job that has ended, with all its files."""
        self._require(visit, job)
        self.atelier.board.delete(job, owner_of(self.atelier, visit))
        return "deleted"

    def log(self, visit: Visit, job: str) -> str:
        """Show the end of a job's log, and why it failed where it did."""
        owner = owner_of(self.atelier, visit)
        row, text = self._row(visit, job), self.atelier.board.log(_chosen(job), owner)
        told = failure(row.view.error, visit.language) if row.view.error else ""
        body = (
            f"<pre class='log'>{escape(text)}</pre>"
            if text
            else paragraph(say("say.jobs_no_log"), visit.language, "empty")
        )
        return told + body

    def result(self, visit: Visit, job: str) -> tuple[str, Any]:
        """Offer the files that a job has made; what is too large to copy stays in its folder, and is named."""
        self._row(visit, job)
        folder = self.atelier.board.result_folder(job, owner_of(self.atelier, visit))
        made = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))[
            :MOST_FILES
        ]
        small = [path for path in made if path.stat().st_size <= LARGEST_FILE]
        if not made:
            return paragraph(say("say.jobs_no_files"), visit.language, "empty"), gr.File(visible=False)
        offered = [offer(self.atelier, path) for path in small]
        large = [say("say.jobs_large_file", name=path.name) for path in made if path not in small]
        return notes(large, visit.language), gr.File(value=offered, visible=True)

    def _row(self, visit: Visit, job: str) -> BoardRow:
        return self.atelier.board.row(_chosen(job), owner_of(self.atelier, visit))

    def _require(self, visit: Visit, job: str) -> None:
        """Let only those touch a training who may train."""
        if self._row(visit, job).shelf == "training":
            self.atelier.settings.require(Capability.TRAIN)


def _chosen(job: str | None) -> str:
    if not job:
        raise InvalidInput("error.no_job_chosen")
    return job


def _draw(rows: list[BoardRow], visit: Visit) -> str:
    if not rows:
        return paragraph(say("say.jobs_empty"), visit.language, kind="empty")
    head = [visit.say(say(f"say.jobs_{name}")) for name in COLUMNS]
    return table(head, [_cells(row, visit) for row in rows])


def _cells(row: BoardRow, visit: Visit) -> tuple[str, ...]:
    view = row.view
    remaining = "–" if row.remaining_seconds is None else f"{row.remaining_seconds:,.0f} s"
    return (
        visit.say(say(f"say.state_{view.state.value}")),
        visit.say(say(f"say.shelf_{row.shelf}")),
        _title(view),
        _progress(view, visit),
        remaining,
    )


def _progress(view: JobView, visit: Visit) -> str:
    if view.state is State.QUEUED and view.waiting:
        return visit.say(view.waiting)
    progress = view.progress
    if progress is None:
        return "–"
    return f"{progress.done:,} / {progress.total:,}" if progress.total else visit.say(in_progress(progress))


def _title(view: JobView) -> str:
    """Return what a person knows a job by: a run's name, else what was asked for, else the beginning of its id."""
    held = view.settings
    name = f"run/{held['name']}" if held.get("name") else held.get("file_name") or held.get("prompt") or ""
    return str(name)[:60] or view.id[:8]


def _name(row: BoardRow, visit: Visit) -> str:
    return f"{_title(row.view)} · {visit.say(say(f'say.state_{row.view.state.value}'))}"


def _as_dict(row: BoardRow) -> dict[str, Any]:
    view, progress = row.view, row.view.progress
    return {
        "job": row.id,
        "shelf": row.shelf,
        "kind": view.kind,
        "name": _title(view),
        "state": view.state.value,
        "position": view.position,
        "phase": progress.phase if progress else None,
        "done": progress.done if progress else 0,
        "total": progress.total if progress else 0,
        "remaining_seconds": row.remaining_seconds,
        "seconds": view.seconds,
        "created": view.created,
        "error": str(view.error) if view.error else None,
        "actions": list(row.actions),
    }
