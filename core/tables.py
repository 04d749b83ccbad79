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
TELLING_NAMES = ("text", "sentence", "review", "content", "comment", "context", "document")
HEAD_BYTES = 200_000
"""What is read of a text file to learn its columns or its encoding: milliseconds, however large the file is."""


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
        _refuse_unknown(name, self.columns)
        return [row.get(name) for row in self.rows]


@dataclass(frozen=True)
class Head:
    """What the beginning of a table tells (of a Parquet, its footer): columns, and which one holds the text."""

    columns: tuple[str, ...] = ()
    text_column: str = ""
    settled: bool = False
    """True where no other column can follow; later JSON lines may have more, and a first line may be too long."""

    def check(self, name: str) -> None:
        """Raise BadFile naming the columns there are, if `name` is certainly none of them."""
        if self.settled:
            _refuse_unknown(name, self.columns)


def _refuse_unknown(name: str, columns: tuple[str, ...]) -> None:
    if name not in columns:
        raise BadFile("error.no_such_column", column=name, columns=", ".join(columns))


def read_table(path: Path) -> Table:
    """Read a table by its file name's ending; raises BadFile for what is too big, empty, damaged or unknown."""
    suffix = _known_format(path)
    table = _read_parquet(path) if suffix == ".parquet" else _READERS[suffix](_Text(path, path.read_bytes()))
    _refuse_row_count(table, path)
    return table


def read_head(path: Path) -> Head:
    """Read at most HEAD_BYTES, or a Parquet's footer; raises BadFile as `read_table` does, for what shows there."""
    suffix = _known_format(path)
    if suffix == ".parquet":
        return _parquet_head(path)
    with path.open("rb") as file:
        raw = file.read(HEAD_BYTES)
    whole = path.stat().st_size <= HEAD_BYTES
    if not whole and b"\n" not in raw:
        return Head()
    table = _READERS[suffix](_Text(path, raw, whole))
    if whole:
        _refuse_row_count(table, path)
    guessed = _likely_column(table) or ""
    return Head(table.columns, guessed, settled=whole or (suffix != ".jsonl" and bool(table.rows)))


def _known_format(path: Path) -> str:
    """Return the ending of a file that may be read; raises BadFile for what is gone, too big or no table."""
    if not path.is_file():
        raise BadFile("error.file_missing", formats=", ".join(FORMATS))
    size = path.stat().st_size
    if size > LIMITS.upload_bytes:
        raise BadFile("error.file_too_big", file=path.name, size=in_bytes(size), limit=in_bytes(LIMITS.upload_bytes))
    _refuse_disguised(path)
    if path.suffix.lower() not in FORMATS:
        raise BadFile("error.unknown_format", file=path.name, formats=", ".join(FORMATS))
    return path.suffix.lower()


def _refuse_row_count(table: Table, path: Path) -> None:
    if not table.rows or not table.columns:
        raise BadFile("error.file_without_rows", file=path.name)
    if len(table.rows) > LIMITS.batch_rows:
        raise BadFile("error.too_many_rows", file=path.name, rows=len(table.rows), limit=LIMITS.batch_rows)


def _refuse_disguised(path: Path) -> None:
    """Raise BadFile, with the way out, for what is no text whatever its name says: its encoding is not the trouble."""
    with path.open("rb") as file:
        start = file.read(4_096)
    if start.startswith(PACKED_STARTS):
        raise BadFile("error.file_is_packed", file=path.name, formats=", ".join(FORMATS))
    if start.startswith(PARQUET_START) and b"\0" in start and path.suffix.lower() != ".parquet":
        raise BadFile("error.file_is_parquet", file=path.name)


def guess_text_column(table: Table) -> str:
    """Return the column that most likely holds the text; BadFile names the columns if none holds a letter."""
    guessed = _likely_column(table)
    if guessed is None:
        raise BadFile("error.no_text_column", columns=", ".join(table.columns))
    return guessed


def _likely_column(table: Table) -> str | None:
    """Return a column with a telling name, else that with the longest cells on average among those with letters."""
    samples = {name: [cell for cell in table.column(name)[:200] if isinstance(cell, str)] for name in table.columns}
    worded = {name: cells for name, cells in samples.items() if any(map(_has_letter, cells))}
    averages = {name: sum(map(len, cells)) / len(cells) for name, cells in worded.items()}
    return _telling_name(table.columns) or max(averages, key=averages.__getitem__, default=None)


def _has_letter(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def _telling_name(columns: Iterable[str]) -> str | None:
    return next((name for name in columns if name.strip().lower() in TELLING_NAMES), None)


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


@dataclass(frozen=True)
class _Text:
    """The bytes of a text file, or its first ones."""

    path: Path
    raw: bytes
    whole: bool = True


def _decode(file: _Text) -> tuple[str, str]:
    """Return the text, without the line that was cut, and its encoding."""
    text, encoding = _decode_all(file)
    return text if file.whole else text.rpartition("\n")[0], encoding


def _decode_all(file: _Text) -> tuple[str, str]:
    """Decode as UTF-8 first, then as what it looks like (Big5, GB 18030, CP949, UTF-16, …)."""
    raw = file.raw
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace"), "utf-16"
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(raw, final=file.whole), "utf-8"
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(_sample(raw), cp_isolation=ENCODINGS).best()
        if best is None:
            raise BadFile("error.unknown_encoding", file=file.path.name) from None
        return raw.decode(best.encoding, errors="replace"), best.encoding


def _sample(raw: bytes) -> bytes:
    """Return whole lines from the start: half a character would speak against every encoding."""
    if len(raw) < HEAD_BYTES:
        return raw
    lines = raw[:HEAD_BYTES].rpartition(b"\n")[0] or raw[:HEAD_BYTES]
    return lines[: len(lines) // 2 * 2] if b"\0" in lines else lines  # UTF-16 has two bytes a letter


def _read_delimited(file: _Text) -> Table:
    path = file.path
    text, encoding = _decode(file)
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


def _read_json_lines(file: _Text) -> Table:
    columns: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    problems: dict[int, Sentence] = {}
    text, encoding = _decode(file)
    text = text.rstrip()
    if not text:
        raise BadFile("error.file_without_rows", file=file.path.name)
    for line in text.split("\n"):  # not splitlines: JSON may hold U+2028 as it is
        row = _object(line)
        if row is None:
            problems[len(rows)] = say("say.row_not_json")
        columns.update(dict.fromkeys(row or {}))
        rows.append(row or {})
    if len(problems) == len(rows):
        raise BadFile("error.json_not_lines", file=file.path.name)
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
    rows: list[dict[str, Any]] = []
    size = 0
    with _opened_parquet(path) as (file, columns):
        for batch in file.iter_batches(batch_size=1_000):
            size += batch.nbytes
            if size > MOST_EXPANDED_BYTES:
                raise BadFile("error.file_expands", file=path.name, limit=in_bytes(MOST_EXPANDED_BYTES))
            rows.extend(batch.rename_columns(list(columns)).to_pylist())
    return Table(columns, rows)


def _parquet_head(path: Path) -> Head:
    """Read the footer only: a small page can hold gigabytes."""
    with _opened_parquet(path) as (file, columns):
        if not columns or not file.metadata.num_rows:
            raise BadFile("error.file_without_rows", file=path.name)
        guessed = _telling_name(columns) or _largest_text(file, columns)
    return Head(columns, guessed, settled=True)


@contextmanager
def _opened_parquet(path: Path) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Give the file and its column names; raises BadFile for too many rows, and for damage wherever it shows."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            if rows > LIMITS.batch_rows:
                raise BadFile("error.too_many_rows", file=path.name, rows=rows, limit=LIMITS.batch_rows)
            yield file, _unique(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="Parquet") from problem


def _largest_text(file: Any, columns: tuple[str, ...]) -> str:
    """Return the column of strings that takes the most bytes in the first group of rows, else the first column."""
    group = file.metadata.row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    sizes = {chunk.path_in_schema: chunk.total_uncompressed_size for chunk in chunks}
    kinds = zip(columns, file.schema_arrow, strict=True)
    texts = {name: sizes.get(kind.name, 0) for name, kind in kinds if "string" in str(kind.type)}
    return max(texts, key=texts.__getitem__, default=columns[0])


_READERS: Mapping[str, Callable[[_Text], Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
}
