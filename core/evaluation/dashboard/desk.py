"""Where all runs are looked through, tagged, compared by their curves, and taken along as tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InvalidInput, UnknownName
from core.evaluation.dashboard.curves import CurveReader, CurveSettings, Overlay, overlaid
from core.evaluation.dashboard.figures import (
    FIGURE_TYPES,
    PAINTERS,
    Drawn,
    draw,
    paint_chart,
    paint_curves,
    paint_scores,
)
from core.evaluation.dashboard.files import FILE_TYPES
from core.evaluation.dashboard.listing import Listed, RunsSettings, listed, metrics_of
from core.evaluation.dashboard.reading import RunReader
from core.evaluation.dashboard.row import EVALUATION, TRAINING, RunRow
from core.evaluation.dashboard.tags import typed_tags, write_tags
from core.evaluation.record import read_evaluation
from core.fields import choice, text
from core.runs import PREFIX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from core.jobs.runner import Jobs
    from core.jobs.views import JobView, Owner

MOST_CHOSEN = 20
"""Trainings whose curves are laid over each other; more cannot be told apart."""
SCORES, CURVES = "scores", "curves"


@dataclass(frozen=True, kw_only=True)
class FigureSettings(CurveSettings):
    """Which figure of the chosen runs; `metric` is the one whose scores or curves are drawn."""

    figure: str = choice(SCORES, (SCORES, CURVES, *PAINTERS))
    model: str = text(limit=500, optional=True)
    """Of an evaluation with several models; "" = its first."""
    file_type: str = choice("png", FIGURE_TYPES)


@dataclass(frozen=True)
class RunsDesk:
    """All trainings and evaluations of an instance; raises UnknownName for a job that is not the owner's."""

    trainings: Jobs
    evaluations: Jobs
    _reader: RunReader = field(default_factory=RunReader, repr=False, compare=False)
    _curves: CurveReader = field(default_factory=CurveReader, repr=False, compare=False)

    def find(self, settings: RunsSettings, owner: Owner = None) -> Listed:
        """Return the lines that the settings ask for, of the owner's runs."""
        return listed(self._rows(owner), settings)

    def tag(self, job: str, tags: str, owner: Owner = None) -> tuple[str, ...]:
        """Give a run these tags instead of those it had, and return them."""
        found = typed_tags(tags)
        write_tags(self._shelf(job, owner)[0].folder(job, owner), found)
        return found

    def delete(self, job: str, owner: Owner = None) -> None:
        """Remove a run that has ended, with all its files; raises Busy while it is alive."""
        self._shelf(job, owner)[0].delete(job, owner)
        self._reader.forget(job)

    def curves(self, jobs: Sequence[str], settings: CurveSettings, owner: Owner = None) -> list[Overlay]:
        """Return the charts of some trainings over each other; raises InvalidInput for too many, and evaluations."""
        if not jobs or len(jobs) > MOST_CHOSEN:
            raise InvalidInput("error.runs_to_choose", count=len(jobs), limit=MOST_CHOSEN)
        histories = {}
        for job in jobs:
            shelf, view = self._shelf(job, owner)
            if shelf is not self.trainings:
                raise InvalidInput("error.runs_no_curves", name=_name(view))
            histories[_name(view)] = self._curves.history(shelf, job, owner)
        return overlaid(histories, settings)

    def export(self, jobs: Sequence[str], file_type: str, folder: Path, owner: Owner = None) -> Path:
        """Write a table of these runs (none named = all) into the folder and return the file."""
        kind = FILE_TYPES.get(file_type)
        if kind is None:
            raise InvalidInput("error.not_an_option", name="file_type", value=file_type, options=", ".join(FILE_TYPES))
        rows = self._chosen(jobs, owner)
        path = folder / f"runs{kind.suffix}"
        kind.write(path, rows, metrics_of(rows))
        return path

    def figure(self, jobs: Sequence[str], settings: FigureSettings, owner: Owner = None) -> Drawn:
        """Draw a figure of these runs; raises InvalidInput for one that they have nothing for."""
        return draw(self._painter(jobs, settings, owner), settings.file_type)

    def _painter(self, jobs: Sequence[str], settings: FigureSettings, owner: Owner) -> Callable[[Figure], None]:
        if settings.figure == SCORES:
            rows = self._chosen(jobs, owner)
            return paint_scores(rows, settings.metric or next(iter(metrics_of(rows)), ""))
        if settings.figure == CURVES:
            return paint_curves(self.curves(jobs, settings, owner), log_scale=settings.log_scale)
        if len(jobs) != 1:
            raise InvalidInput("error.runs_choose_one", count=len(jobs))
        return paint_chart(self._charts(jobs[0], settings.model, owner), settings.figure)

    def _charts(self, job: str, model: str, owner: Owner) -> dict[str, object]:
        shelf, view = self._shelf(job, owner)
        if shelf is not self.evaluations:
            raise InvalidInput("error.runs_no_evaluation", name=_name(view))
        models = read_evaluation(shelf.result_folder(job, owner))["models"]
        found = [one for one in models if model in ("", one["name"])]
        if not found:
            names = ", ".join(one["name"] for one in models)
            raise UnknownName("error.evaluate_no_such_model", model=model, names=names)
        return dict(found[0]["charts"])

    def _chosen(self, jobs: Sequence[str], owner: Owner) -> list[RunRow]:
        """Return the lines of some jobs, all where none is named; raises UnknownName for one that is not there."""
        rows = self._rows(owner)
        for job in jobs:
            self._shelf(job, owner)
        return [row for row in rows if not jobs or row.job in jobs]

    def _rows(self, owner: Owner) -> list[RunRow]:
        trained = self._reader.rows(self.trainings, TRAINING, owner)
        return trained + self._reader.rows(self.evaluations, EVALUATION, owner)

    def _shelf(self, job: str, owner: Owner) -> tuple[Jobs, JobView]:
        for shelf in (self.trainings, self.evaluations):
            try:
                return shelf, shelf.view(job, owner)
            except UnknownName:
                continue
        raise UnknownName("error.job_unknown")


def _name(view: JobView) -> str:
    """Return what people know a job by: run/<name>, or the models of an evaluation."""
    if view.kind == TRAINING:
        return f"{PREFIX}{view.settings.get('name') or view.id}"
    return str(view.settings.get("models") or view.id)
