"""What a page shows of a batch: its progress while it runs, then counts, a preview, files and code."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from core.atelier import Atelier
from core.jobs import JobView
from core.settings import LIMITS
from core.snippets import TableJob, table_markdown
from core.tasks.text.batch import (
    Row,
    Summary,
    TextBatchSettings,
    distribution,
    read_rows,
    read_summary,
    result_files,
    status_counts,
)
from core.tasks.text.row_tasks import ROW_TASKS
from core.words import say
from tabs._events import Visit
from tabs._files import offer
from tabs._views import counts, failure, notes, paragraph, progress_bar, ran_on, table

PREVIEW_CHARACTERS = 80

Shown = tuple[str, Any, Any, Any, Any]
"""(view, job id, code, result files, provenance)"""


def watch(atelier: Atelier, visit: Visit, job: str) -> Generator[Shown | None]:
    """Show a job until it ends, and yield None where there is nothing new: whoever follows waits then."""
    owner, last, shown = owner_of(atelier, visit), 0, ""
    counted: list[Any] = []
    while True:
        news = atelier.jobs.follow(job, after=last, owner=owner)
        last = news.last
        counted = next((event.payload for event in reversed(news.events) if event.name == "distribution"), counted)
        if news.over:
            break
        shown, before = _running(atelier.jobs.view(job, owner=owner), counted, visit), shown
        if shown != before:
            yield shown, job, None, None, None
        yield None
    yield _ended(atelier, visit, atelier.jobs.view(job, owner=owner))


def nothing_yet(visit: Visit) -> Shown:
    """Show what to do where there is no batch."""
    return paragraph(say("say.empty_batch"), visit.language, kind="empty"), "", None, None, None


def owner_of(atelier: Atelier, visit: Visit) -> str | None:
    """Return whose jobs a visitor sees: on one's own machine every browser is the same person."""
    return None if atelier.settings.alone else visit.visitor


def _running(view: JobView, counted: Sequence[Any], visit: Visit) -> str:
    waiting = notes([view.waiting], visit.language) if view.waiting else ""
    state = say(f"say.state_{view.state.value}")
    return progress_bar(state, view.progress, visit.language) + waiting + counts(counted)


def _ended(atelier: Atelier, visit: Visit, view: JobView) -> Shown:
    folder = atelier.jobs.result_folder(view.id, owner=owner_of(atelier, visit))
    settings = TextBatchSettings(**view.settings)
    rows, summary = read_rows(folder), read_summary(folder)
    files = [offer(atelier, path) for path in result_files(folder, settings)]
    seen = progress_bar(say(f"say.state_{view.state.value}"), view.progress, visit.language)
    if view.error:
        seen += failure(view.error, visit.language)
    if not rows or summary is None:
        return seen, view.id, None, files or None, None
    provenance = summary.provenance.as_dict()
    seen += notes([say("say.row_counts", **status_counts(rows))], visit.language)
    seen += counts(distribution(rows, settings.task)) + _preview(rows, settings, visit)
    seen += ran_on(provenance, visit.language)
    return seen, view.id, _code(settings, summary, visit), files, provenance


def _preview(rows: Sequence[Row], settings: TextBatchSettings, visit: Visit) -> str:
    task = ROW_TASKS[settings.task]
    head = [visit.say(say("say.row")), *task.columns, "status"]
    return table(head, [_preview_row(row, settings) for row in rows[: LIMITS.table_preview_rows]])


def _preview_row(row: Row, settings: TextBatchSettings) -> list[str]:
    task = ROW_TASKS[settings.task]
    cells = {} if row.result is None else task.cells(row.result)
    shown = (str(cells.get(name, ""))[:PREVIEW_CHARACTERS] for name in task.columns)
    return [str(row.place + 1), *shown, row.problem or ("blank" if row.blank else "ok")]


def _code(settings: TextBatchSettings, summary: Summary, visit: Visit) -> str:
    asked = {"task": settings.task, "model": settings.model, "labels": settings.labels, "question": settings.question}
    job = TableJob(
        file=settings.file_name,
        column=summary.column,
        task=settings.task,
        row=ROW_TASKS[settings.task].settings(settings),
        parameters={name: value for name, value in asked.items() if value},
    )
    return table_markdown(job, summary.provenance, summary.max_length, visit.address)
