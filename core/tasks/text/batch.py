"""One task over a whole file: the work of a text_batch job.

The job's folder holds everything: a copy of the upload, `rows.jsonl` with one line a finished row (so that a stop, a
crash or a reload loses nothing that was done), and at the end the table as CSV and Parquet.
"""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.catalogue import find_task
from core.errors import AtelierError, HubError, InvalidInput, ModelError
from core.events import Progress
from core.fields import choice, text
from core.jobs import JobHandle
from core.loading import LoadedModel
from core.provenance import Provenance
from core.registry import Registry
from core.settings import LIMITS
from core.tables import Table, free_name, guess_text_column, read_table, write_csv, write_parquet
from core.tasks.text.encoder import Lane
from core.tasks.text.options import ModelOptions
from core.tasks.text.row_tasks import ROW_TASKS, RowTask

KIND = "text_batch"
ROWS_AT_ONCE = 256
"""Rows tokenised, sorted by length and written together; a stop waits for one forward pass of these, not for all."""

ROWS_FILE, SUMMARY_FILE, INPUT_NAME = "rows.jsonl", "summary.json", "input"
TABLE_NAMES = ("result.csv", "result.parquet")


@dataclass(frozen=True, kw_only=True)
class TextBatchSettings(ModelOptions):
    """Which column of which file, and what to do with each of its texts."""

    file: str
    column: str = text(limit=500, optional=True)
    task: str = choice("text-classification", tuple(ROW_TASKS))
    labels: str = text(limit=5_000, optional=True)
    question: str = text(limit=1_000, optional=True)

    @property
    def file_name(self) -> str:
        """The upload's own name."""
        return Path(self.file).name

    def __post_init__(self) -> None:
        """Read old task names, then refuse what lies outside the limits or lacks its partner."""
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


@dataclass(frozen=True)
class Row:
    """What became of one row: its place in the file, its result in the pipeline's format, or why there is none."""

    place: int
    result: Any = None
    problem: str | None = None
    blank: bool = False


@dataclass(frozen=True)
class Summary:
    """What answered, which column it read, and how many tokens of a text at most."""

    provenance: Provenance
    column: str
    max_length: int


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
    lane = Lane(background=True, cancel=job.cancel, report=job.report)
    try:
        with registry.borrow(settings.spec(registry, settings.task), cancel=lane.cancel, report=lane.report) as model:
            worker = _Worker(job, settings, column, registry, model, lane)
            _work_through(job, worker, table, texts)
    finally:
        collect(job.result_folder, settings)
    _refuse_nothing_answered(read_rows(job.result_folder))


def _refuse_nothing_answered(rows: Sequence[Row]) -> None:
    failed = [row.problem for row in rows if row.problem is not None]
    if failed and not status_counts(rows)["ok"]:
        raise InvalidInput("error.batch_nothing_answered", failed=len(failed), problem=failed[0])


def _work_through(job: JobHandle, worker: _Worker, table: Table, texts: Sequence[Any]) -> None:
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with (job.result_folder / ROWS_FILE).open("a", encoding="utf-8") as file:
        for start in range(0, len(texts), ROWS_AT_ONCE):
            job.cancel.check()
            places = range(start, min(start + ROWS_AT_ONCE, len(texts)))
            rows = list(worker.rows(places, table, texts))
            file.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
            file.flush()
            counts.update(dict(distribution(rows, worker.settings.task)))
            seconds = time.perf_counter() - started
            _write_summary(job.result_folder, Summary(worker.model.provenance(seconds), worker.column, worker.model.max_length))
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

    def _answered(self, places: Sequence[int], texts: Sequence[str]) -> dict[int, Row]:
        """Ask the model for all at once; if that fails, one by one, so that only the bad row fails."""
        if not places:
            return {}
        try:
            answer = ROW_TASKS[self.settings.task].answer
            results = answer(texts, self.settings.row_settings(), self.registry, self.model, self.lane)
        except Exception as problem:
            self.job.cancel.check()
            if _concerns_every_row(problem):
                raise
            if len(places) == 1:
                self._log(problem)
                return {places[0]: Row(places[0], problem=_told(problem))}
            alone = (self._answered([place], [one]) for place, one in zip(places, texts, strict=True))
            return {place: row for rows in alone for place, row in rows.items()}
        return {place: Row(place, result=result) for place, result in zip(places, results, strict=True)}

    def _log(self, problem: Exception) -> None:
        """Write a bug's traceback into the job's log, once for each place in the code."""
        place = "".join(traceback.format_tb(problem.__traceback__))
        if not isinstance(problem, AtelierError) and place not in self.logged:
            self.logged.add(place)
            self.job.log("".join(traceback.format_exception(problem)))


def _concerns_every_row(problem: Exception) -> bool:
    """Tell whether the model, the Hub or the memory failed, rather than one row's text."""
    import torch

    return isinstance(problem, ModelError | HubError | MemoryError | torch.OutOfMemoryError) or (
        isinstance(problem, RuntimeError) and "can't allocate memory" in str(problem)  # torch on a CPU
    )


def _told(problem: Exception) -> str:
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


def _write_summary(result_folder: Path, summary: Summary) -> None:
    written = {**asdict(summary), "provenance": summary.provenance.as_dict()}
    (result_folder / SUMMARY_FILE).write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")


def read_summary(result_folder: Path) -> Summary | None:
    """Return what answered, or None while nothing has."""
    path = result_folder / SUMMARY_FILE
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    provenance = {**found["provenance"], "fallbacks": tuple(found["provenance"]["fallbacks"])}
    return Summary(Provenance(**provenance), found["column"], found["max_length"])


def read_rows(result_folder: Path) -> list[Row]:
    """Return the rows done so far; a last line torn by a crash is left out."""
    path = result_folder / ROWS_FILE
    rows: list[Row] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):  # an answer may hold U+2028 as it is
        try:
            rows.append(Row(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return rows


def result_files(result_folder: Path, settings: TextBatchSettings) -> list[Path]:
    """Return the CSV and the Parquet; a job whose server died left only rows, so they are collected now."""
    paths = [result_folder / name for name in TABLE_NAMES]
    return paths if all(path.exists() for path in paths) else collect(result_folder, settings)


def collect(result_folder: Path, settings: TextBatchSettings) -> list[Path]:
    """Write the finished rows beside their original columns as CSV and Parquet; returns both paths, or none."""
    rows = read_rows(result_folder)
    upload = next(result_folder.glob(f"{INPUT_NAME}.*"), None)
    if not rows or upload is None:
        return []
    table, task = read_table(upload), ROW_TASKS[settings.task]
    names = own_columns(task, table.columns)
    made = [_output(table.rows[row.place], row, task, names) for row in rows]
    columns = [*table.columns, *names.values()]
    paths = [result_folder / name for name in TABLE_NAMES]
    write_csv(paths[0], columns, made)
    write_parquet(paths[1], columns, made)
    return paths


def own_columns(task: RowTask, taken: Sequence[str]) -> dict[str, str]:
    """Name our columns so that none of the user's is overwritten: label becomes predicted_label where label exists."""
    names: dict[str, str] = {}
    for name in (*task.columns, "status"):
        wanted = f"predicted_{name}" if name in taken else name
        names[name] = free_name(wanted, (*taken, *names.values()))
    return names


def _output(original: dict[str, Any], row: Row, task: RowTask, names: Mapping[str, str]) -> dict[str, Any]:
    status = row.problem or ("blank" if row.blank else "ok")
    cells = task.cells(row.result) if row.result is not None else {}
    own = {**dict.fromkeys(task.columns), **cells, "status": status}
    return {**original, **{names[name]: cell for name, cell in own.items()}}


def status_counts(rows: Sequence[Row]) -> dict[str, int]:
    """Count rows that were answered, blank, or failed."""
    blank, failed = sum(row.blank for row in rows), sum(row.problem is not None for row in rows)
    return {"ok": len(rows) - blank - failed, "blank": blank, "failed": failed}


def distribution(rows: Sequence[Row], task: str) -> list[tuple[str, int]]:
    """Count what the answers say (labels, entity types, answered or not), the most frequent first."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row.result is not None:
            counts.update(ROW_TASKS[task].categories(row.result))
    return counts.most_common()
