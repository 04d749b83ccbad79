"""What a page shows of a run: state, progress, curves, speed, samples, notes, the end of the log, and what it made."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from html import escape
from pathlib import Path
from typing import Any

from core.atelier import Atelier
from core.errors import AtelierError
from core.jobs.runner import JobView, State
from core.training.history import LEARNING, History
from core.training.record import RunRecord, read_run
from core.words import in_bytes, say
from tabs._charts import Curve, chart
from tabs._events import Visit
from tabs._files import offer
from tabs._owner import owner_of
from tabs._views import failure, folded, notes, paragraph, progress_bar, table

Shown = tuple[str, str, Any]
"""(view, job id, result)"""
MOST_EVENTS = 5_000
"""Read at once; a long run is read in several goes."""
LOG_LINES = 30
LOSSES = ("loss", "eval_loss")


def watch(atelier: Atelier, visit: Visit, job: str) -> Generator[Shown | None]:
    """Show a run until it ends, reading only what is new; yields None where there is nothing new."""
    owner, history, shown = owner_of(atelier, visit), History(), ""
    while True:
        news = atelier.training.follow(job, history.last, owner, MOST_EVENTS)
        history.read(news.events)
        if news.more:
            continue
        view = atelier.training.view(job, owner)
        drawn = draw(atelier, visit, view, history)
        if drawn != shown:
            shown = drawn
            yield drawn, job, as_result(atelier, visit, view, history)
        if news.over:
            return
        yield None


def look(atelier: Atelier, visit: Visit, job: str) -> tuple[JobView, History]:
    """Return a run with all that it has told so far; raises UnknownName."""
    owner, history, more = owner_of(atelier, visit), History(), True
    while more:
        news = atelier.training.follow(job, history.last, owner, MOST_EVENTS)
        history.read(news.events)
        more = news.more
    return atelier.training.view(job, owner), history


def nothing_yet(visit: Visit) -> Shown:
    """Show what to do where there is no run."""
    return paragraph(say("say.train_empty"), visit.language, kind="empty"), "", None


def as_result(atelier: Atelier, visit: Visit, view: JobView, history: History) -> dict[str, Any]:
    """Return a run for programs."""
    progress = view.progress
    record = _record(atelier, visit, view)
    return {
        "job": view.id,
        "name": view.settings.get("name", ""),
        "task": view.settings.get("task", ""),
        "state": view.state.value,
        "position": view.position,
        "phase": progress.phase if progress else None,
        "done": progress.done if progress else 0,
        "total": progress.total if progress else 0,
        "remaining_seconds": progress.remaining_seconds if progress and view.state is State.RUNNING else None,
        "seconds": view.seconds,
        "attempt": view.attempt,
        "resumable": view.resumable,
        "error": str(view.error) if view.error else None,
        "metrics": dict(record.metrics) if record else None,
        **history.as_dict(),
    }


def draw(atelier: Atelier, visit: Visit, view: JobView, history: History) -> str:
    """Draw a run."""
    language = visit.language
    name = escape(f"run/{view.settings.get('name') or view.id}")
    # The last thing that a run does is to save, in one step: once it is over, nobody asks how fast that went.
    progress = view.progress if view.state is not State.SUCCEEDED else None
    bar = progress_bar(say(f"say.state_{view.state.value}"), progress, language, running=view.state is State.RUNNING)
    seen = f'<h3 class="run-name">{name}</h3>{bar}'
    if view.waiting:
        seen += notes([view.waiting], language)
    if view.error:
        seen += failure(view.error, language)
    if view.resumable:
        step = history.checkpoint
        seen += notes([say("say.train_can_resume", step=step) if step else say("say.train_can_begin_again")], language)
    record = _record(atelier, visit, view)
    if record:
        seen += _made(record, visit)
    return seen + _charts(history, visit) + _speed(history, visit) + _below(atelier, visit, view, history)


def _charts(history: History, visit: Visit) -> str:
    losses = [Curve(name, points) for name in LOSSES if (points := _points(history, name))]
    others = [
        chart(name, [Curve(name, points)])
        for name, points in (*history.learning.items(), *history.evaluations.items())
        if name not in LOSSES
    ]
    drawn = chart(visit.say(say("say.train_loss")), losses) + "".join(others)
    return f'<div class="charts">{drawn}</div>' if drawn else ""


def _points(history: History, name: str) -> Any:
    return (history.learning if name in LEARNING else history.evaluations).get(name, [])


def _speed(history: History, visit: Visit) -> str:
    told = " · ".join(f"{name} {value:,.1f}" for name, value in history.speeds.items())
    if history.checkpoint:
        told += f" · checkpoint-{history.checkpoint}"
    peak = history.measured.get("peak_bytes")
    if isinstance(peak, int | float):
        told += f" · {visit.say(say('say.train_peak', size=in_bytes(int(peak))))}"
    return f'<p class="speed">{escape(told)}</p>' if told else ""


def _below(atelier: Atelier, visit: Visit, view: JobView, history: History) -> str:
    seen = notes(history.notes, visit.language) + _samples(atelier, visit, view, history)
    log = log_tail(atelier.training.log(view.id, owner_of(atelier, visit)))
    return seen + (folded(visit.say(say("say.train_log")), log) if log else "")


def log_tail(text: str) -> list[str]:
    """Return the last lines of a log that say something."""
    return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]


def _samples(atelier: Atelier, visit: Visit, view: JobView, history: History) -> str:
    """Draw the newest samples: texts in a table, pictures side by side."""
    told = history.samples
    head = paragraph(say("say.train_samples", step=told.get("step", 0)), visit.language) if told else ""
    items = told.get("items")
    if isinstance(items, list):
        names = [visit.say(say(f"say.train_sample_{name}")) for name in ("input", "text", "reference")]
        rows = [
            [one.get(name, "") for name in ("input", "text", "reference")] for one in items if isinstance(one, dict)
        ]
        return head + table(names, rows)
    files = told.get("files")
    if isinstance(files, list):
        folder = atelier.training.result_folder(view.id, owner_of(atelier, visit))
        return head + _pictures(atelier, folder, files)
    return ""


def _pictures(atelier: Atelier, folder: Path, files: Iterable[Any]) -> str:
    """Draw pictures that lie in the run's own result folder; a name that leads out of it is passed over."""
    paths = [(folder / str(name)).resolve() for name in files]
    inside = [path for path in paths if path.is_file() and path.is_relative_to(folder.resolve())]
    drawn = "".join(
        f'<img src="{escape(f"/gradio_api/file={offer(atelier, path)}")}" alt="" class="sample">' for path in inside
    )
    return f'<div class="samples">{drawn}</div>' if drawn else ""


def _record(atelier: Atelier, visit: Visit, view: JobView) -> RunRecord | None:
    """Return what a finished run says of itself; None before, and for a record of another version."""
    if view.state is not State.SUCCEEDED:
        return None
    try:
        return read_run(atelier.training.result_folder(view.id, owner_of(atelier, visit)))
    except AtelierError:
        return None


def _made(record: RunRecord, visit: Visit) -> str:
    rows = [
        (name.removeprefix("eval_") if name != "eval_loss" else name, f"{value:.4f}")
        for name, value in record.metrics.items()
    ]
    told = paragraph(
        say(
            "say.train_made",
            name=record.name,
            base=record.base.id,
            trainable=record.parameters.trainable,
            total=record.parameters.total,
            steps=record.steps,
            seconds=f"{record.seconds:,.0f}",
        ),
        visit.language,
    )
    head = [visit.say(say("say.train_metric")), visit.say(say("say.value"))]
    return told + (table(head, rows) if rows else "")
