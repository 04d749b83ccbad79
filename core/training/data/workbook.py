"""Excel workbooks: the first sheet, its first line with words as the header."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.settings import LIMITS
from core.tables import MOST_EXPANDED_BYTES, free_name
from core.training.data.source import Source
from core.training.data.watch import Watch
from core.words import in_bytes


def read_workbook(path: Path, watch: Watch) -> Source:
    """Read the first sheet of an .xlsx; raises BadFile for what is damaged, empty or too large."""
    _refuse_size(path)
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            lines = list(watch.over("read", _lines(book.worksheets[0])))
        finally:
            book.close()
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, TypeError) as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="XLSX") from problem
    return _under_header(lines, path)


def _lines(sheet: Any) -> Iterator[list[Any]]:
    for cells in sheet.iter_rows(values_only=True):
        yield [_plain(cell) for cell in cells]


def _under_header(lines: list[list[Any]], path: Path) -> Source:
    """Name the columns by the first line that is not blank; blank lines at the end are none."""
    worded = [place for place, cells in enumerate(lines) if any(cell is not None for cell in cells)]
    if len(worded) <= 1:
        raise BadFile("error.file_without_rows", file=path.name)
    if len(worded) - 1 > LIMITS.batch_rows:
        raise BadFile("error.too_many_rows", file=path.name, rows=len(worded) - 1, limit=LIMITS.batch_rows)
    columns: list[str] = []
    for place, name in enumerate(lines[worded[0]], start=1):
        columns.append(free_name(str(name).strip() if name is not None else f"column_{place}", columns))
    below = lines[worded[0] + 1 : worded[-1] + 1]
    return Source(path.name, tuple(columns), [dict(zip(columns, cells, strict=False)) for cells in below])


def _plain(cell: Any) -> Any:
    """Return dates as ISO writes them, and blank cells as None."""
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return None if isinstance(cell, str) and not cell.strip() else cell


def _refuse_size(path: Path) -> None:
    """Refuse before anything is unpacked: a sheet is XML, and packs a thousandfold."""
    if not path.is_file():
        raise BadFile("error.file_missing", formats=".xlsx")
    if path.stat().st_size > LIMITS.upload_bytes:
        size, limit = in_bytes(path.stat().st_size), in_bytes(LIMITS.upload_bytes)
        raise BadFile("error.file_too_big", file=path.name, size=size, limit=limit)
    try:
        with zipfile.ZipFile(path) as packed:
            expanded = sum(member.file_size for member in packed.infolist())
    except zipfile.BadZipFile as problem:
        raise BadFile("error.damaged_file", file=path.name, kind="XLSX") from problem
    if expanded > MOST_EXPANDED_BYTES:
        raise BadFile("error.file_expands", file=path.name, limit=in_bytes(MOST_EXPANDED_BYTES))
