"""Tables from people: CSV, TSV, JSON Lines and Parquet in; CSV and Parquet out."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, count, dropwhile
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.settings import LIMITS
from core.words import Sentence, in_bytes, say

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
DELIMITERS = ",;\t|"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MOST_EXPANDED_BYTES = 500_000_000
"""What a Parquet file may grow to in memory: a small file can repeat one long text a million times."""
ENCODINGS = ["big5hkscs", "gb18030", "cp949", "shift_jis", "euc_jp", "cp1252", "cp1251", "utf_16_le", "utf_16_be"]
"""What people's files are in when they are not UTF-8."""
PACKED_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x1f\x8b\x08")
"""How a zip (so .xlsx and .ods), an Excel file before 2007 (.xls) and a gzip begin; no table that is read here does."""
PARQUET_START = b"PAR1"


@dataclass(frozen=True)
class Layout:
    """How a delimited file was read, for whoever reads it again."""

    delimiter: str = ","
    """"" where a line is one cell, whatever it holds."""
    encoding: str = "utf-8"
    above: int = 0
    """Lines above the header: Excel's sep=;, and blank ones."""


@dataclass(frozen=True)
class Table:
    """Rows in file order; a row that could not be read is empty and named in `problems`."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    problems: Mapping[int, Sentence] = field(default_factory=dict)
    layout: Layout = Layout()

    def column(self, name: str) -> list[Any]:
        """Return one column's cells (None where a row lacks it); raises BadFile naming the columns there are."""
        if name not in self.columns:
            raise BadFile("error.no_such_column", column=name, columns=", ".join(self.columns))
        return [row.get(name) for row in self.rows]


def read_table(path: Path) -> Table:
    """Read a table by its file name's ending; raises BadFile for what is too big, empty, damaged or unknown."""
    if not path.is_file():
        raise BadFile("error.file_missing", formats=", ".join(FORMATS))
    size = path.stat().st_size
    if size > LIMITS.upload_bytes:
        raise BadFile("error.file_too_big", file=path.name, size=in_bytes(size), limit=in_bytes(LIMITS.upload_bytes))
    _refuse_disguised(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadFile("error.unknown_format", file=path.name, formats=", ".join(FORMATS))
    table = reader(path)
    if not table.rows or not table.columns:
        raise BadFile("error.file_without_rows", file=path.name)
    if len(table.rows) > LIMITS.batch_rows:
        raise BadFile("error.too_many_rows", file=path.name, rows=len(table.rows), limit=LIMITS.batch_rows)
    return table


def _refuse_disguised(path: Path) -> None:
    """Raise BadFile, with the way out, for what is no text whatever its name says: its encoding is not the trouble."""
    with path.open("rb") as file:
        start = file.read(4_096)
    if start.startswith(PACKED_STARTS):
        raise BadFile("error.file_is_packed", file=path.name, formats=", ".join(FORMATS))
    if start.startswith(PARQUET_START) and b"\0" in start and path.suffix.lower() != ".parquet":
        raise BadFile("error.file_is_parquet", file=path.name)


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
    """Keep spreadsheet programs from running a cell (OWASP: CSV injection); a number stays one, a list becomes JSON."""
    if isinstance(cell, list | dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) and not _is_number(cell):
        return "'" + cell
    return cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip() == cell


def _decode(path: Path) -> tuple[str, str]:
    """Return the text and its encoding: UTF-8 first, then what it looks like (Big5, GB 18030, CP949, UTF-16, …)."""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace"), "utf-16"
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(raw[:200_000], cp_isolation=ENCODINGS).best()
        if best is None:
            raise BadFile("error.unknown_encoding", file=path.name) from None
        return raw.decode(best.encoding, errors="replace"), best.encoding


def _read_delimited(path: Path) -> Table:
    text, encoding = _decode(path)
    if "\0" in text:
        raise BadFile("error.damaged_file", file=path.name, kind="CSV")
    try:
        with _large_cells():
            lines, layout = _cells(text, path.suffix.lower())
    except csv.Error as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="CSV") from problem
    if not lines:
        raise BadFile("error.file_without_rows", file=path.name)
    columns, rows, problems = _unique(lines[0]), [], {}
    for place, cells in enumerate(lines[1:]):  # a blank line is a blank row, so that places stay those of the file
        if len(cells) > len(columns):
            problems[place] = say("say.row_too_wide", found=len(cells), expected=len(columns))
            cells = []  # noqa: PLW2901 which cell belongs where cannot be known
        rows.append(dict(zip(columns, cells, strict=False)))
    return Table(columns, rows, problems, replace(layout, encoding=encoding))


def _cells(text: str, suffix: str) -> tuple[list[list[str]], Layout]:
    """Split the text into lines of cells, without the blank lines above the header and at the end.

    Excel's first line "sep=;" is obeyed. In a table of one column an unquoted comma belongs to the text.
    """
    told = re.match(r"sep=(.)\r?\n", text)
    delimiter = told[1] if told else "\t" if suffix == ".tsv" else _delimiter(text)
    reader = csv.reader(io.StringIO(text[told.end() :] if told else text, newline=""), delimiter=delimiter)
    every = list(reader)
    lines = list(dropwhile(lambda line: not line, every))
    above = len(every) - len(lines) + (1 if told else 0)
    while lines and not lines[-1]:
        lines.pop()
    if lines and len(lines[0]) == 1:
        lines = [[delimiter.join(line)] if line else line for line in lines]
        delimiter = ""
    return lines, Layout(delimiter, above=above)


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the header into the most cells; a comma where none does."""

    def columns(delimiter: str) -> int:
        return len(next(csv.reader(io.StringIO(text[:20_000].lstrip(), newline=""), delimiter=delimiter), []))

    return max(DELIMITERS, key=columns)


@contextmanager
def _large_cells() -> Iterator[None]:
    """Allow cells up to a whole upload; the default of 128 KB is a process-wide number of the csv module."""
    before = csv.field_size_limit(LIMITS.upload_bytes)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return `name`, with a number behind it where it is taken."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(wanted for wanted in chain([name], numbered) if wanted not in taken)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Name every column: blanks become column_1, doubles get a number."""
    found: list[str] = []
    for place, name in enumerate(names, start=1):
        found.append(free_name(name.strip() or f"column_{place}", found))
    return tuple(found)


def _read_json_lines(path: Path) -> Table:
    columns: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    problems: dict[int, Sentence] = {}
    text, encoding = _decode(path)
    text = text.rstrip()
    if not text:
        raise BadFile("error.file_without_rows", file=path.name)
    for line in text.split("\n"):  # not splitlines: JSON may hold U+2028 as it is
        row = _object(line)
        if row is None:
            problems[len(rows)] = say("say.row_not_json")
        columns.update(dict.fromkeys(row or {}))
        rows.append(row or {})
    if len(problems) == len(rows):
        raise BadFile("error.json_not_lines", file=path.name)
    return Table(tuple(columns), rows, problems, Layout(encoding=encoding))


def _object(line: str) -> dict[str, Any] | None:
    """Read one line: a JSON object, {} for a blank line, None for anything else."""
    if not line.strip():
        return {}
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return {str(name): cell for name, cell in row.items()} if isinstance(row, dict) else None


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    size = 0
    try:
        file = parquet.ParquetFile(path)
        count_of_rows = file.metadata.num_rows
        if count_of_rows > LIMITS.batch_rows:
            raise BadFile("error.too_many_rows", file=path.name, rows=count_of_rows, limit=LIMITS.batch_rows)
        columns = _unique(file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=1_000):
            size += batch.nbytes
            if size > MOST_EXPANDED_BYTES:
                raise BadFile("error.file_expands", file=path.name, limit=in_bytes(MOST_EXPANDED_BYTES))
            rows.extend(batch.rename_columns(list(columns)).to_pylist())
    except (pa.ArrowException, OSError) as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="Parquet") from problem
    return Table(columns, rows)


_READERS: Mapping[str, Callable[[Path], Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
