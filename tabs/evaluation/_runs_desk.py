"""What the buttons of the runs panel do: each handler asks the core, and returns what the page shows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import InvalidInput
from core.evaluation.dashboard.curves import CurveSettings
from core.evaluation.dashboard.desk import FigureSettings
from core.evaluation.dashboard.files import FILE_TYPES
from core.evaluation.dashboard.listing import COLUMNS, Listed, RunsSettings
from core.evaluation.dashboard.row import RunRow
from core.fields import comma_separated
from core.settings import Capability
from core.words import say
from tabs._events import Visit
from tabs._files import offer
from tabs._owner import owner_of
from tabs._views import notes, paragraph
from tabs.evaluation._runs_view import show_curves, show_figure, show_runs

OFFERED = 200
"""Runs that a list offers, the newest."""


@dataclass(frozen=True)
class RunsHandlers:
    """All handlers of the panel; `jobs` are ids, as a list or with commas between."""

    atelier: Atelier

    def list(self, visit: Visit, **values: Any) -> tuple[str, Any]:
        """List your trainings and evaluations (a line for each model): filtered, sorted, with their metrics."""
        found = self.atelier.runs_desk.find(_settings(values), owner_of(self.atelier, visit))
        return show_runs(found, visit), {
            "found": found.found,
            "metrics": list(found.metrics),
            "tags": list(found.tags),
            "runs": [row.as_dict() for row in found.rows],
        }

    def open(self, visit: Visit, **values: Any) -> tuple[Any, ...]:
        """Show the table, and offer what there is to choose: runs, orders and tags."""
        settings, owner = _settings(values), owner_of(self.atelier, visit)
        desk = self.atelier.runs_desk
        everything = desk.find(RunsSettings(limit=10_000), owner)
        orders = [*COLUMNS, *everything.metrics]
        shown = desk.find(settings, owner) if settings.sort in orders else everything
        return (
            show_runs(shown, visit),
            gr.update(choices=_to_choose(everything, visit)),
            gr.update(choices=orders),
            gr.update(choices=["", *everything.metrics]),
        )

    def curves(self, visit: Visit, jobs: Any, **values: Any) -> tuple[str, Any]:
        """Lay the curves of some trainings over each other: losses, evaluations, learning rates."""
        settings = CurveSettings(**values)
        overlays = self.atelier.runs_desk.curves(ids_of(jobs), settings, owner_of(self.atelier, visit))
        told = [
            {"name": one.name, "curves": {run: [list(point) for point in points] for run, points in one.curves.items()}}
            for one in overlays
        ]
        return show_curves(overlays, visit, log_scale=settings.log_scale), told

    def figure(self, visit: Visit, jobs: Any, **values: Any) -> tuple[str, Any]:
        """Draw a figure to take along: scores, training curves, or a chart of one evaluation."""
        settings = FigureSettings(**values)
        drawn = self.atelier.runs_desk.figure(ids_of(jobs), settings, owner_of(self.atelier, visit))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{settings.figure}.{settings.file_type}"
            path.write_bytes(drawn.content)
            file = offer(self.atelier, path)
        missing = [say("say.figure_letters", letters=drawn.unreadable)] if drawn.unreadable else []
        return show_figure(drawn, settings.figure) + notes(missing, visit.language), gr.update(value=file, visible=True)

    def export(self, visit: Visit, jobs: Any, file_type: str = "csv") -> Any:
        """Write a table of these runs (none named = all of yours) as CSV, JSON, Markdown or LaTeX."""
        with tempfile.TemporaryDirectory() as folder:
            owner = owner_of(self.atelier, visit)
            path = self.atelier.runs_desk.export(ids_of(jobs), file_type, Path(folder), owner)
            return gr.update(value=offer(self.atelier, path), visible=True)

    def tag(self, visit: Visit, jobs: Any, tags: str = "") -> str:
        """Give runs these tags, separated by commas, instead of those they had; none = take them away."""
        owner = owner_of(self.atelier, visit)
        for job in _some(jobs):
            found = self.atelier.runs_desk.tag(job, tags or "", owner)
        return paragraph(say("say.runs_tagged", tags=", ".join(found) or "–"), visit.language)

    def delete(self, visit: Visit, jobs: Any) -> str:
        """Delete runs that have ended, with all their files."""
        owner, chosen = owner_of(self.atelier, visit), _some(jobs)
        for job in chosen:
            if self.atelier.board.row(job, owner).shelf == "training":
                self.atelier.settings.require(Capability.TRAIN)
            self.atelier.runs_desk.delete(job, owner)
        return paragraph(say("say.runs_deleted", count=len(chosen)), visit.language)


def ids_of(jobs: Any) -> tuple[str, ...]:
    """Return ids from a list, or from a text with commas between."""
    parts = comma_separated(jobs) if isinstance(jobs, str) else [str(one) for one in jobs or ()]
    return tuple(dict.fromkeys(parts))


def _some(jobs: Any) -> Sequence[str]:
    found = ids_of(jobs)
    if not found:
        raise InvalidInput("error.no_runs_chosen")
    return found


def _settings(values: dict[str, Any]) -> RunsSettings:
    told: dict[str, Any] = {name: "" if one is None else one for name, one in values.items()}
    return RunsSettings(**told)


def _to_choose(found: Listed, visit: Visit) -> list[tuple[str, str]]:
    """Return each job once, by the names of its lines, its kind and its state."""
    names: dict[str, list[str]] = {}
    one = {row.job: row for row in found.rows}
    for row in found.rows:
        names.setdefault(row.job, []).append(row.name)
    return [(" · ".join([", ".join(names[job]), *_kind_and_state(one[job], visit)]), job) for job in names][:OFFERED]


def _kind_and_state(row: RunRow, visit: Visit) -> tuple[str, str]:
    return visit.say(say(f"say.runs_kind_{row.kind}")), visit.say(say(f"say.state_{row.state}"))


TABLE_TYPES = tuple(FILE_TYPES)
