"""One task over a whole file: the work of a text_batch job; core/tasks/text/batch_results.py says what it leaves."""

from __future__ import annotations

import heapq
import json
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core.catalogue import find_task, languages_in
from core.errors import AtelierError, HubError, InvalidInput, ModelError
from core.events import Progress
from core.fields import choice, text
from core.jobs.runner import JobHandle
from core.machine.memory import ran_out
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.settings import LIMITS
from core.tables import Table, guess_text_column, read_table
from core.tasks.text.batch_results import (
    INPUT_NAME,
    ROWS_FILE,
    Row,
    Summary,
    collect,
    distribution,
    read_rows,
    status_counts,
    write_summary,
)
from core.tasks.text.encoder import Lane, borrow
from core.tasks.text.row_tasks import ASKED_BY, ROW_TASKS, RowOptions
from core.words import Sentence, say

KIND = "text_batch"


@dataclass(frozen=True, kw_only=True)
class TextBatchSettings(RowOptions):
    """Which column of which file, and what to do with each of its texts."""

    file: str
    column: str = text(limit=500, optional=True)
    task: str = choice("text-classification", tuple(ROW_TASKS))

    @property
    def file_name(self) -> str:
        """The upload's own name."""
        return Path(self.file).name

    def __post_init__(self) -> None:
        """Read old task names, then refuse what lies outside the limits or lacks its partner."""
        for name, value in _languages(self.task).items():
            object.__setattr__(self, name, getattr(self, name) or value)
        object.__setattr__(self, "task", find_task(self.task).name)
        super().__post_init__()
        if self.task == "zero-shot-classification" and not self.labels.strip():
            raise InvalidInput("error.labels_missing")
        if self.task == "question-answering" and not self.question.strip():
            raise InvalidInput("error.question_missing")
        self.row_settings()

    def row_settings(self) -> Any:
        """Return the settings of one row's task; raises InvalidInput for what that task refuses, 51 labels say."""
        return ROW_TASKS[self.task].settings(self)


def _languages(task: str) -> dict[str, str]:
    """Return the settings that an old task name such as translation_en_to_fr tells."""
    return dict(zip(("source_language", "target_language"), languages_in(task) or (), strict=False))


def unused_by(settings: TextBatchSettings) -> tuple[Sentence, ...]:
    """Name the settings that somebody chose and that the task does not ask for."""
    usual = {field.name: field.default for field in fields(settings)}
    chosen = [
        name
        for name, tasks in ASKED_BY.items()
        if settings.task not in tasks and getattr(settings, name) != usual[name]
    ]
    return (say("say.batch_unused", names=", ".join(chosen)),) if chosen else ()


def run_batch(job: JobHandle, settings: TextBatchSettings, registry: Registry) -> None:
    """Work through the file; rows keep their order, blank rows are kept and marked, a bad row fails alone.

    Raises InvalidInput if not one row with text was answered, and what would fail every row: ModelError, HubError, and
    too little memory.
    """
    upload = Path(settings.file)
    table = read_table(upload)
    column = settings.column or guess_text_column(table)
    texts = table.column(column)
    shutil.copyfile(upload, job.result_folder / f"{INPUT_NAME}{upload.suffix.lower()}")  # Gradio sweeps its own
    spec = settings.spec(registry, settings.task)
    lane = Lane(background=True, exact=settings.dtype != "auto", cancel=job.cancel, report=job.report)
    try:
        task = ROW_TASKS[settings.task]
        with borrow(registry, spec, _longest(texts, task.together), lane, max(settings.num_beams, 1)) as model:
            task.check(settings.row_settings(), model)
            worker = _Worker(job, settings, column, registry, model, lane)
            _work_through(job, worker, table, texts)
    finally:
        collect(job.result_folder, settings.task)
    _refuse_nothing_answered(read_rows(job.result_folder))


def _longest(texts: Sequence[Any], count: int) -> list[str]:
    """Return the `count` longest texts, as many as are computed together."""
    return heapq.nlargest(count, (str(cell) for cell in texts if not _is_blank(cell)), key=len)


def _refuse_nothing_answered(rows: Sequence[Row]) -> None:
    failed = [row.problem for row in rows if row.problem is not None]
    if failed and not status_counts(rows)["ok"]:
        raise InvalidInput("error.batch_nothing_answered", failed=len(failed), problem=failed[0])


def _work_through(job: JobHandle, worker: _Worker, table: Table, texts: Sequence[Any]) -> None:
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with (job.result_folder / ROWS_FILE).open("a", encoding="utf-8") as file:
        together = ROW_TASKS[worker.settings.task].together
        for start in range(0, len(texts), together):
            job.cancel.check()
            places = range(start, min(start + together, len(texts)))
            rows = list(worker.rows(places, table, texts))
            file.writelines(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows)
            file.flush()
            counts.update(dict(distribution(rows, worker.settings.task)))
            seconds = time.perf_counter() - started
            write_summary(job.result_folder, worker.summary(seconds, table))
            job.emit("distribution", counts.most_common())
            job.report(Progress("rows", places[-1] + 1, len(texts), seconds))


@dataclass(frozen=True)
class _Worker:
    job: JobHandle
    settings: TextBatchSettings
    column: str
    registry: Registry
    model: LoadedModel
    lane: Lane
    logged: set[str] = field(default_factory=set)
    """Where in the code a bug has shown already: the same one may break a hundred thousand rows."""

    def rows(self, places: range, table: Table, texts: Sequence[Any]) -> Iterator[Row]:
        """Yield one Row a place, in order."""
        done: dict[int, Row] = {}
        for place in places:
            if row := _without_model(place, texts[place], table):
                done[place] = row
        left = [place for place in places if place not in done]
        done.update(self._answered(left, [str(texts[place]) for place in left]))
        yield from (done[place] for place in places)

    def summary(self, seconds: float, table: Table) -> Summary:
        """Return what answered so far, in so many seconds."""
        task = ROW_TASKS[self.settings.task]
        provenance = self.model.provenance(seconds, mixed=self.lane.mixes(self.model))
        of_all = (*unused_by(self.settings), *task.notes(self.settings.row_settings(), self.model))
        return Summary(provenance, self.column, task.longest(self.model), layout=table.layout, of_all=of_all)

    def _answered(self, places: Sequence[int], texts: Sequence[str]) -> dict[int, Row]:
        """Ask the model for all at once; if that fails, one by one, so that only the bad row fails."""
        if not places:
            return {}
        cut: set[int] = set()
        full: set[int] = set()
        lane = replace(self.lane, on_cut=cut.update, on_full=full.update)
        try:
            answer = ROW_TASKS[self.settings.task].answer
            results = answer(texts, self.settings.row_settings(), self.registry, self.model, lane)
        except Exception as problem:
            self.job.cancel.check()
            if concerns_every_row(problem):
                raise
            if len(places) == 1:
                self._log(problem)
                return {places[0]: Row(places[0], problem=told(problem))}
            alone = (self._answered([place], [one]) for place, one in zip(places, texts, strict=True))
            return {place: row for rows in alone for place, row in rows.items()}
        found = enumerate(zip(places, results, strict=True))
        return {place: _row(place, result, cut=number in cut, full=number in full) for number, (place, result) in found}

    def _log(self, problem: Exception) -> None:
        """Write a bug's traceback into the job's log, once for each place in the code."""
        place = "".join(traceback.format_tb(problem.__traceback__))
        if not isinstance(problem, AtelierError) and place not in self.logged:
            self.logged.add(place)
            self.job.log("".join(traceback.format_exception(problem)))


def _row(place: int, result: Any, *, cut: bool, full: bool) -> Row:
    """Return a row with its answer, or with why the task refuses this row's text."""
    if isinstance(result, AtelierError):
        return Row(place, problem=told(result))
    return Row(place, result=result, cut=cut, full=full)


def concerns_every_row(problem: Exception) -> bool:
    """Tell whether the model, the Hub or the memory failed, rather than one row's text."""
    return isinstance(problem, ModelError | HubError) or ran_out(problem)


def told(problem: Exception) -> str:
    """Return what a row says of its problem."""
    return str(problem) if isinstance(problem, AtelierError) else f"{type(problem).__name__}: {problem}"


def _without_model(place: int, cell: Any, table: Table) -> Row | None:
    """Return the row that needs no model: unreadable, blank or too long."""
    if place in table.problems:
        return Row(place, problem=str(table.problems[place]))
    if _is_blank(cell):
        return Row(place, blank=True)
    if len(str(cell)) > LIMITS.batch_text_characters:
        error = InvalidInput(
            "error.text_too_long", name="text", length=len(str(cell)), limit=LIMITS.batch_text_characters
        )
        return Row(place, problem=str(error))
    return None


def _is_blank(cell: Any) -> bool:
    """Tell whether there is nothing to read: None, NaN (it differs from itself), or only space."""
    return cell is None or cell != cell or not str(cell).strip()  # noqa: PLR0124
