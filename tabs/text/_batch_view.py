"""What a page shows of a batch: its progress while it runs, then counts, a preview, files and code."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from core.atelier import Atelier
from core.errors import AtelierError
from core.jobs.runner import JobView, State
from core.snippets import TableJob, table_markdown, table_parameters
from core.tasks.text.batch import TextBatchSettings
from core.tasks.text.batch_results import Outcome, Summary, read_summary, result_files
from core.tasks.text.row_tasks import ROW_TASKS
from core.words import say
from tabs._events import Visit
from tabs._files import offer
from tabs._owner import owner_of
from tabs._views import counts, failure, notes, paragraph, progress_bar, ran_on, table

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


def _running(view: JobView, counted: Sequence[Any], visit: Visit) -> str:
    waiting = notes([view.waiting], visit.language) if view.waiting else ""
    state = say(f"say.state_{view.state.value}")
    bar = progress_bar(state, view.progress, visit.language, running=view.state is State.RUNNING)
    return bar + waiting + counts(counted)


def _ended(atelier: Atelier, visit: Visit, view: JobView) -> Shown:
    seen = progress_bar(say(f"say.state_{view.state.value}"), view.progress, visit.language, running=False)
    if view.error:
        seen += failure(view.error, visit.language)
    settings = _settings(view)
    if settings is None:
        return seen, view.id, None, None, None
    folder = atelier.jobs.result_folder(view.id, owner=owner_of(atelier, visit))
    files = [offer(atelier, path) for path in result_files(folder, settings.task)]
    summary = read_summary(folder)
    if summary is None or summary.outcome is None:
        return seen, view.id, None, files or None, None
    provenance = summary.ran.as_dict()
    seen += notes(summary.notes, visit.language)
    seen += _outcome(summary.outcome, settings.task, summary.column, visit) + ran_on(provenance, visit.language)
    code = _code(settings, summary, visit, atelier.settings.login)
    return seen, view.id, code, files, provenance


def _settings(view: JobView) -> TextBatchSettings | None:
    """Return what the job was asked, or None for a job of another version, of which only the state can be shown."""
    try:
        return TextBatchSettings(**view.settings)
    except (TypeError, AtelierError):
        return None


def _outcome(outcome: Outcome, task: str, column: str, visit: Visit) -> str:
    named = [visit.say(say("say.row")), *([column] if outcome.texts else []), *ROW_TASKS[task].columns, "status"]
    told = notes([say("say.row_counts", **outcome.counts)], visit.language)
    return told + counts(outcome.categories) + table(named, _beside_texts(outcome))


def _beside_texts(outcome: Outcome) -> Sequence[Sequence[str]]:
    """Put each row's text behind its number, before its answer; a summary of an older version has none."""
    if not outcome.texts:
        return outcome.preview
    return [(row[0], text, *row[1:]) for row, text in zip(outcome.preview, outcome.texts, strict=True)]


def _code(settings: TextBatchSettings, summary: Summary, visit: Visit, user: str | None) -> str:
    job = TableJob(
        file=settings.file_name,
        column=summary.column,
        task=settings.task,
        row=settings.row_settings(),
        parameters=table_parameters(settings),
        layout=summary.layout,
    )
    return table_markdown(job, summary.provenance, summary.max_length, visit.address, user=user)
