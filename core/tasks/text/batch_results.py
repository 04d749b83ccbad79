"""What a text_batch job leaves on disk: its rows, its table, and a summary that shows it without reading either.

Rows are added line by line, so that a stop, a crash or a reload loses nothing that was done. Everything else is written
whole, for a page may read it at any moment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.jobs.files import written_whole
from core.provenance import Provenance
from core.settings import LIMITS
from core.tables import Layout, Table, free_name, read_table, write_csv, write_parquet
from core.tasks.text.encoder import with_notes
from core.tasks.text.row_tasks import ROW_TASKS, RowTask
from core.words import Sentence, say

ROWS_FILE, SUMMARY_FILE, INPUT_NAME = "rows.jsonl", "summary.json", "input"
TABLE_NAMES = ("result.csv", "result.parquet")
PREVIEW_CHARACTERS = 80
"""Most of a cell that the preview shows."""


@dataclass(frozen=True)
class Row:
    """What became of one row: its place in the file, its result in the pipeline's format, or why there is none."""

    place: int
    result: Any = None
    problem: str | None = None
    blank: bool = False
    cut: bool = False
    """Whether the model could not read all of the text."""
    full: bool = False
    """Whether the answer has as many tokens as were allowed."""

    @property
    def status(self) -> str:
        """What the table says of the row: ok, blank, or its problem."""
        return self.problem or ("blank" if self.blank else "ok")


@dataclass(frozen=True)
class Outcome:
    """What a page shows of the rows."""

    counts: Mapping[str, int]
    """Rows that were answered (ok), blank, or failed."""
    categories: Sequence[Sequence[Any]]
    """(what the answers say, how often), the most frequent first."""
    preview: Sequence[Sequence[str]]
    """The first rows: number, the task's columns, status."""
    cut: int = 0
    """Rows whose text was longer than the model reads."""
    full: int = 0
    """Rows whose answer has as many tokens as were allowed."""
    texts: Sequence[str] = ()
    """The beginning of each preview row's text; nothing in the summaries of older versions."""


@dataclass(frozen=True)
class Summary:
    """What answered, which column it read, and how many tokens of a text at most; the outcome comes at the end."""

    provenance: Provenance
    column: str
    max_length: int
    outcome: Outcome | None = None
    layout: Layout = field(default_factory=Layout)
    """How the file was read."""
    of_all: tuple[Sentence, ...] = ()
    """What is to be said of every row alike."""

    @property
    def notes(self) -> tuple[Sentence, ...]:
        """What happened on the way: settings that played no part, texts and answers that were cut."""
        cut, full = (self.outcome.cut, self.outcome.full) if self.outcome else (0, 0)
        told = (
            (cut, say("say.texts_cut", count=cut, read=self.max_length)),
            (full, say("say.answers_full", count=full)),
        )
        return (*self.of_all, *(sentence for count, sentence in told if count))

    @property
    def ran(self) -> Provenance:
        """What answered, with the notes among its fallbacks."""
        return with_notes(self.provenance, self.notes)


def write_summary(result_folder: Path, summary: Summary) -> None:
    """Write what read_summary returns."""
    written = {**asdict(summary), "provenance": summary.provenance.as_dict()}
    with written_whole(result_folder / SUMMARY_FILE) as draft:
        draft.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")


def read_summary(result_folder: Path) -> Summary | None:
    """Return what answered, or None while nothing has, and for a file that is torn or of another version."""
    path = result_folder / SUMMARY_FILE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        provenance = {**found["provenance"], "fallbacks": tuple(found["provenance"]["fallbacks"])}
        outcome = Outcome(**found["outcome"]) if found.get("outcome") else None
        layout, of_all = Layout(**found.get("layout", {})), tuple(Sentence(**one) for one in found.get("of_all", ()))
        return Summary(Provenance(**provenance), found["column"], found["max_length"], outcome, layout, of_all)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


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


def result_files(result_folder: Path, task: str) -> list[Path]:
    """Return the CSV and the Parquet; a job whose server died left only rows, so they are collected now."""
    paths = [result_folder / name for name in TABLE_NAMES]
    summary = read_summary(result_folder)
    told = summary is None or summary.outcome is not None
    return paths if told and all(path.exists() for path in paths) else collect(result_folder, task)


def collect(result_folder: Path, task: str) -> list[Path]:
    """Write the finished rows beside their original columns as CSV and Parquet, and the outcome into the summary.

    Returns both paths, or none if there is nothing to write.
    """
    rows = read_rows(result_folder)
    upload = next(result_folder.glob(f"{INPUT_NAME}.*"), None)
    if not rows or upload is None:
        return []
    table = read_table(upload)
    paths = _write_table(result_folder, table, rows, ROW_TASKS[task])
    if summary := read_summary(result_folder):
        outcome = outcome_of(rows, task, table.column(summary.column))
        write_summary(result_folder, replace(summary, outcome=outcome))
    return paths


def _write_table(result_folder: Path, table: Table, rows: Sequence[Row], task: RowTask) -> list[Path]:
    names = own_columns(task, table.columns)
    made = [_output(table.rows[row.place], row, task, names) for row in rows]
    columns = [*table.columns, *names.values()]
    paths = [result_folder / name for name in TABLE_NAMES]
    for path, write in zip(paths, (write_csv, write_parquet), strict=True):
        with written_whole(path) as draft:
            write(draft, columns, made)
    return paths


def own_columns(task: RowTask, taken: Sequence[str]) -> dict[str, str]:
    """Name our columns so that none of the user's is overwritten: label becomes predicted_label where label exists."""
    names: dict[str, str] = {}
    for name in (*task.columns, "status"):
        wanted = f"predicted_{name}" if name in taken else name
        names[name] = free_name(wanted, (*taken, *names.values()))
    return names


def _output(original: dict[str, Any], row: Row, task: RowTask, names: Mapping[str, str]) -> dict[str, Any]:
    own = {**dict.fromkeys(task.columns), **_cells(row, task), "status": row.status}
    return {**original, **{names[name]: cell for name, cell in own.items()}}


def _cells(row: Row, task: RowTask) -> dict[str, Any]:
    return {} if row.result is None else task.cells(row.result)


def outcome_of(rows: Sequence[Row], task: str, cells: Sequence[Any]) -> Outcome:
    """Return what a page shows of these rows; `cells` is the whole column that was read."""
    first = rows[: LIMITS.table_preview_rows]
    return Outcome(
        status_counts(rows),
        distribution(rows, task),
        [_preview(row, ROW_TASKS[task]) for row in first],
        cut=sum(row.cut for row in rows),
        full=sum(row.full for row in rows),
        texts=["" if row.blank else _shortened(cells[row.place]) for row in first],
    )


def _shortened(cell: Any) -> str:
    """Return a cell's beginning on one line; None, a cell that the row lacks, as nothing."""
    text = "" if cell is None else " ".join(str(cell).split())
    return text if len(text) <= PREVIEW_CHARACTERS else text[: PREVIEW_CHARACTERS - 1] + "…"


def _preview(row: Row, task: RowTask) -> tuple[str, ...]:
    cells = _cells(row, task)
    shown = (_shortened(cells.get(name)) for name in task.columns)
    return str(row.place + 1), *shown, row.status


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
