"""Whatever holds rows: a table, a workbook, JSON, running text, a zip of pictures, a sample, a data set on the Hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.settings import LIMITS
from core.tables import FORMATS, read_table
from core.training.data.archive import read_archive
from core.training.data.hub_dataset import HubPlace, read_hub_dataset
from core.training.data.samples import is_sample, sample_file
from core.training.data.source import Source
from core.training.data.watch import Watch
from core.training.data.workbook import read_workbook
from core.training.settings import TrainSettings
from core.words import in_bytes

ARCHIVE = ".zip"
EVERY_FORMAT = (*FORMATS, ".json", ".txt", ".xlsx", ARCHIVE)


@dataclass(frozen=True)
class Desk:
    """Where reading works: pictures are unpacked below `folder`; the token opens private data sets."""

    folder: Path
    token: str | None = None


def read_training_rows(settings: TrainSettings, desk: Desk, watch: Watch) -> Source:
    """Read the rows to learn from; raises BadFile, or HubError for a data set that is not there."""
    if settings.dataset.strip():
        return _read_dataset(settings, settings.dataset_split, desk, watch)
    return read_file(Path(settings.file), desk, watch)


def read_validation_rows(settings: TrainSettings, desk: Desk, watch: Watch) -> Source | None:
    """Read the rows that are for evaluation only; None where none are named."""
    if settings.validation_split.strip():
        return _read_dataset(settings, settings.validation_split.strip(), desk, watch)
    if settings.validation_file.strip():
        return read_file(Path(settings.validation_file), desk, watch)
    return None


def _read_dataset(settings: TrainSettings, split: str, desk: Desk, watch: Watch) -> Source:
    named = settings.dataset.strip()
    if is_sample(named):
        return read_file(sample_file(named), desk, watch)
    place = HubPlace(named, settings.dataset_config.strip(), split, settings.max_samples, settings.seed)
    return read_hub_dataset(place, desk.folder / "pictures", watch, token=desk.token)


def read_file(path: Path, desk: Desk, watch: Watch) -> Source:
    """Read a file by its ending; raises BadFile for what is missing, too big, empty, damaged or unknown."""
    suffix = path.suffix.lower()
    if suffix not in EVERY_FORMAT or not path.is_file():
        key = "error.unknown_format" if path.is_file() else "error.file_missing"
        raise BadFile(key, file=path.name, formats=", ".join(EVERY_FORMAT))
    watch.tell("read", 0, 0)
    if suffix == ARCHIVE:
        return read_archive(path, desk.folder / "pictures", watch)
    if suffix == ".xlsx":
        return read_workbook(path, watch)
    return _READERS[suffix](path)


def _read_table(path: Path) -> Source:
    table = read_table(path)
    return Source(path.name, table.columns, table.rows, table.problems)


def _read_json(path: Path) -> Source:
    """Read a JSON list of objects, or an object that has one such list; JSON lines that are called .json, too."""
    text = _text_of(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = _json_lines(text)
    rows = _list_of_objects(found)
    if rows is None:
        raise BadFile("error.data_json_shape", file=path.name)
    return _rows(path, rows)


def _json_lines(text: str) -> Any:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _list_of_objects(found: Any) -> list[dict[str, Any]] | None:
    """Return the list itself, or the only list of objects that an object has ("data": [...])."""
    if isinstance(found, Mapping):
        lists = [one for one in found.values() if _is_row_list(one)]
        found = lists[0] if len(lists) == 1 else None
    return found if _is_row_list(found) else None


def _is_row_list(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(one, dict) for one in found)


def _read_text(path: Path) -> Source:
    """Read paragraphs, which blank lines part; a text without any is read line by line."""
    text = _text_of(path).replace("\r\n", "\n").strip()
    parts = text.split("\n\n") if "\n\n" in text else text.split("\n")
    return _rows(path, [{"text": part.strip()} for part in parts if part.strip()])


def _rows(path: Path, rows: list[dict[str, Any]]) -> Source:
    if not rows:
        raise BadFile("error.file_without_rows", file=path.name)
    if len(rows) > LIMITS.batch_rows:
        raise BadFile("error.too_many_rows", file=path.name, rows=len(rows), limit=LIMITS.batch_rows)
    return Source(path.name, tuple(dict.fromkeys(name for row in rows for name in row)), rows)


def _text_of(path: Path) -> str:
    """Decode a file, as UTF-8 or what it looks like; raises BadFile for what is too big or no text."""
    if path.stat().st_size > LIMITS.upload_bytes:
        size, limit = in_bytes(path.stat().st_size), in_bytes(LIMITS.upload_bytes)
        raise BadFile("error.file_too_big", file=path.name, size=size, limit=limit)
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(raw[:200_000]).best()
        if best is None:
            raise BadFile("error.unknown_encoding", file=path.name) from None
        return raw.decode(best.encoding, errors="replace")


_READERS: Mapping[str, Callable[[Path], Source]] = {
    **dict.fromkeys(FORMATS, _read_table),
    ".json": _read_json,
    ".txt": _read_text,
}
