"""A zip of pictures with captions: in metadata.csv or metadata.jsonl as `datasets` has it, or in a .txt beside each."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import BadFile
from core.settings import LIMITS
from core.tables import read_table
from core.training.data.pictures import keep_picture
from core.training.data.source import Source
from core.training.data.watch import Watch
from core.words import Sentence, in_bytes, say

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
METADATA = ("metadata.csv", "metadata.jsonl")
FILE_COLUMN, IMAGE, CAPTION = "file_name", "image", "caption"
MOST_PICTURES = 20_000
MOST_CAPTION_BYTES = 20_000


@dataclass(frozen=True)
class _Archive:
    """An open zip: its pictures and texts by their names."""

    name: str
    packed: zipfile.ZipFile
    members: Mapping[str, zipfile.ZipInfo]

    def read(self, name: str) -> bytes:
        """Return a member's bytes."""
        return self.packed.read(self.members[name])

    @property
    def pictures(self) -> list[str]:
        """The names of the pictures, in order."""
        return sorted(name for name in self.members if PurePosixPath(name).suffix.lower() in ENDINGS)

    @property
    def metadata(self) -> str | None:
        """The name of the table of captions, if there is one."""
        return next((name for name in sorted(self.members) if PurePosixPath(name).name.lower() in METADATA), None)


def read_archive(path: Path, folder: Path, watch: Watch) -> Source:
    """Unpack the pictures into `folder` and return a row for each: `image` (a path there) and its caption.

    Raises BadFile for a zip that is damaged, too large, or holds no picture; a picture that cannot be read is a
    problem of its row.
    """
    if path.stat().st_size > LIMITS.download_bytes:
        size, limit = in_bytes(path.stat().st_size), in_bytes(LIMITS.download_bytes)
        raise BadFile("error.file_too_big", file=path.name, size=size, limit=limit)
    try:
        with zipfile.ZipFile(path) as packed:
            archive = _Archive(path.name, packed, _members(packed, path.name))
            return _unpacked(archive, folder, watch)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as problem:  # RuntimeError: a password is needed
        raise BadFile("error.damaged_file", file=path.name, kind="zip") from problem


def _members(packed: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files, without what macOS adds; raises BadFile for what would grow too large."""
    files = {
        member.filename: member
        for member in packed.infolist()
        if not member.is_dir()
        and not any(part.startswith((".", "__")) for part in PurePosixPath(member.filename).parts)
    }
    expanded = sum(member.file_size for member in files.values())
    if expanded > 2 * LIMITS.download_bytes:
        raise BadFile("error.file_expands", file=name, limit=in_bytes(2 * LIMITS.download_bytes))
    return files


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)


def _unpacked(archive: _Archive, folder: Path, watch: Watch) -> Source:
    pictures = archive.pictures
    if not pictures:
        raise BadFile("error.data_no_pictures", file=archive.name, endings=", ".join(ENDINGS))
    if len(pictures) > MOST_PICTURES:
        raise BadFile("error.data_too_many_pictures", file=archive.name, count=len(pictures), limit=MOST_PICTURES)
    named = _from_metadata(archive) if archive.metadata else _from_texts(archive)
    problems: dict[int, Sentence] = {}
    rows: list[dict[str, Any]] = []
    for place, (picture, cells) in enumerate(watch.over("read", named, len(named))):
        kept = folder / f"{place + 1:06}{PurePosixPath(picture).suffix.lower()}"
        reason = _keep(archive, picture, kept)
        if reason is not None:
            problems[place] = reason
        rows.append({**cells, IMAGE: str(kept), FILE_COLUMN: picture})
    columns = tuple(dict.fromkeys([IMAGE, *(name for row in rows for name in row)]))
    return Source(archive.name, columns, rows, problems, _unnamed(archive, named))


def _keep(archive: _Archive, picture: str, kept: Path) -> Sentence | None:
    if picture not in archive.members:
        return say("say.data_picture_missing", name=picture)
    if archive.members[picture].file_size > LIMITS.picture_upload_bytes:
        limit = in_bytes(LIMITS.picture_upload_bytes)
        return say("say.data_picture_bytes", size=in_bytes(archive.members[picture].file_size), limit=limit)
    return keep_picture(archive.read(picture), kept)


def _from_texts(archive: _Archive) -> list[tuple[str, dict[str, Any]]]:
    """Return each picture with the words of the .txt that has its name."""
    found = []
    for picture in archive.pictures:
        beside = str(PurePosixPath(picture).with_suffix(".txt"))
        worded = beside in archive.members and archive.members[beside].file_size <= MOST_CAPTION_BYTES
        words = archive.read(beside).decode("utf-8-sig", errors="replace").strip() if worded else ""
        found.append((picture, {CAPTION: words}))
    return found


def _from_metadata(archive: _Archive) -> list[tuple[str, dict[str, Any]]]:
    """Return each picture that the table names, in its order, with the table's other cells."""
    table_name = PurePosixPath(str(archive.metadata))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / table_name.name.lower()
        copy.write_bytes(archive.read(str(table_name)))
        table = read_table(copy)
    if FILE_COLUMN not in table.columns:
        columns = ", ".join(table.columns)
        raise BadFile("error.data_metadata_column", file=str(table_name), column=FILE_COLUMN, columns=columns)
    rows = []
    for row in table.rows:
        cells = {name: cell for name, cell in row.items() if name != FILE_COLUMN}
        rows.append((str(table_name.parent / str(row.get(FILE_COLUMN) or "")), cells))
    return rows


def _unnamed(archive: _Archive, named: list[tuple[str, dict[str, Any]]]) -> tuple[Sentence, ...]:
    left = set(archive.pictures) - {picture for picture, _ in named}
    return (say("say.data_pictures_unnamed", count=len(left)),) if left else ()
