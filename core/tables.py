"""Tables from people: CSV, TSV, JSON Lines and Parquet in; CSV and Parquet out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.settings import LIMITS
from core.words import Sentence, in_bytes, say

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
DELIMITERS = ",;\t|"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Table:
    """Rows in file order; a row that could not be read is empty and named in `problems`."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    problems: Mapping[int, Sentence] = field(default_factory=dict)

    def column(self, name: str) -> list[Any]:
        """Return one column's cells (None where a row lacks it); raises BadFile naming the columns there are."""
        if name not in self.columns:
            raise BadFile("error.no_such_column", column=name, columns=", ".join(self.columns))
        return [row.get(name) for row in self.rows]


def read_table(path: Path) -> Table:
    """Read a table by its file name's ending; raises BadFile for what is too big, empty, damaged or of no known kind."""
    size = path.stat().st_size
    if size > LIMITS.upload_bytes:
        raise BadFile("error.file_too_big", file=path.name, size=in_bytes(size), limit=in_bytes(LIMITS.upload_bytes))
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadFile("error.unknown_format", file=path.name, formats=", ".join(FORMATS))
    table = reader(path)
    if not table.rows or not table.columns:
        raise BadFile("error.file_without_rows", file=path.name)
    if len(table.rows) > LIMITS.batch_rows:
        raise BadFile("error.too_many_rows", file=path.name, rows=len(table.rows), limit=LIMITS.batch_rows)
    return table


def guess_text_column(table: Table) -> str:
    """Return the column that most likely holds the text: a telling name, else the longest words on average."""
    for name in table.columns:
        if name.strip().lower() in {"text", "sentence", "review", "content", "comment", "context", "document"}:
            return name

    def average(name: str) -> float:
        cells = [cell for cell in table.column(name)[:200] if isinstance(cell, str)]
        return sum(map(len, cells)) / len(cells) if cells else 0.0

    return max(table.columns, key=average)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV that Excel opens as UTF-8 and that runs no formula from a visitor's cell."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_plain(name) for name in columns])
        writer.writerows([_plain(row.get(name)) for name in columns] for row in rows)


def write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a Parquet file; a column of mixed kinds becomes text."""
    import pyarrow as pa
    from pyarrow import parquet

    arrays = {name: _arrow([row.get(name) for row in rows]) for name in columns}
    parquet.write_table(pa.table(arrays), path)


def _arrow(cells: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if cell is None else str(cell) for cell in cells])


def _plain(cell: Any) -> Any:
    """Keep spreadsheet programs from running a cell (OWASP: CSV injection)."""
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return "'" + cell
    return cell


def _decode(path: Path) -> str:
    """Return the text: UTF-8 first, then whatever the bytes look like (Big5, GB 18030, CP949, UTF-16, …)."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(raw[:200_000]).best()
        if best is None:
            raise BadFile("error.unknown_encoding", file=path.name) from None
        return raw.decode(best.encoding, errors="replace")


def _read_delimited(path: Path) -> Table:
    text = _decode(path)
    if "\0" in text:
        raise BadFile("error.damaged_file", file=path.name, kind="CSV")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    try:
        with _large_cells():
            lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if line]
    except csv.Error as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="CSV") from problem
    if not lines:
        raise BadFile("error.file_without_rows", file=path.name)
    columns, rows, problems = _unique(lines[0]), [], {}
    for place, cells in enumerate(lines[1:]):
        if len(cells) > len(columns):
            problems[place] = say("say.row_too_wide", found=len(cells), expected=len(columns))
            cells = []  # noqa: PLW2901 which cell belongs where cannot be known
        rows.append(dict(zip(columns, cells, strict=False)))
    return Table(columns, rows, problems)


def _delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:20_000].splitlines()[0], delimiters=DELIMITERS).delimiter
    except (csv.Error, IndexError):
        return ","


@contextmanager
def _large_cells() -> Iterator[None]:
    """Allow cells up to a whole upload; the default of 128 KB is a process-wide number of the csv module."""
    before = csv.field_size_limit(LIMITS.upload_bytes)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Name every column: blanks become column_1, doubles get a number."""
    found: list[str] = []
    for place, name in enumerate(names, start=1):
        wanted = name.strip() or f"column_{place}"
        found.append(wanted if wanted not in found else f"{wanted}_{place}")
    return tuple(found)


def _read_json_lines(path: Path) -> Table:
    columns: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    problems: dict[int, Sentence] = {}
    for line in _decode(path).splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(row)  # noqa: TRY004, TRY301 one branch for every line that is no object
        except ValueError:
            problems[len(rows)] = say("say.row_not_json")
            row = {}
        columns.update(dict.fromkeys(map(str, row)))
        rows.append({str(name): cell for name, cell in row.items()})
    return Table(tuple(columns), rows, problems)


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        if file.metadata.num_rows > LIMITS.batch_rows:
            raise BadFile(
                "error.too_many_rows", file=path.name, rows=file.metadata.num_rows, limit=LIMITS.batch_rows
            )
        table = file.read()
    except (pa.ArrowException, OSError) as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="Parquet") from problem
    return Table(tuple(table.column_names), table.to_pylist())


_READERS: Mapping[str, Callable[[Path], Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
