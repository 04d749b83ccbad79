"""Prepared tokens on disk: Arrow files, the rows they were made from, and a note of what they are, written last."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from core.jobs.files import written_whole
from core.jobs.records import sentence_from_json, sentence_to_json
from core.training.data.prepared import Counts, Prepared

NOTE = "prepared.json"
TRAIN, VALIDATION = "train", "validation"


def rows_file(folder: Path, half: str) -> Path:
    """Return where the canonical rows of a half are kept."""
    return folder / "rows" / f"{half}.jsonl"


def tokens_file(folder: Path, half: str, key: str) -> Path:
    """Return where the tokens of a half are kept."""
    return folder / "tokens" / f"{half}-{key[:16]}.arrow"


def keep(prepared: Prepared) -> None:
    """Write the note: from now on the tokens are whole."""
    note = {
        one.name: getattr(prepared, one.name)
        for one in dataclasses.fields(prepared)
        if one.name not in ("train", "validation", "folder", "cached", "notes", "counts")
    }
    note["counts"] = dataclasses.asdict(prepared.counts)
    note["notes"] = [sentence_to_json(one) for one in prepared.notes]
    note["columns"] = dict(prepared.columns)
    note["validation_kept"] = prepared.validation is not None
    with written_whole(prepared.folder / NOTE) as file:
        file.write_text(json.dumps(note, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def kept(folder: Path, key: str) -> Prepared | None:
    """Return what was prepared under this key; None where nothing was, or not to its end."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(note, dict) or note.get("key") != key:
        return None
    train = _opened(tokens_file(folder, TRAIN, key))
    validation = _opened(tokens_file(folder, VALIDATION, key)) if note.pop("validation_kept") else None
    if train is None:
        return None
    note["counts"] = Counts(**note["counts"])
    note["notes"] = tuple(found for one in note["notes"] if (found := sentence_from_json(one)))
    note["labels"] = tuple(note["labels"])
    return Prepared(train=train, validation=validation, folder=folder, cached=True, **note)


def _opened(file: Path) -> Any:
    """Open tokens without reading them: they are mapped into memory."""
    from datasets import Dataset

    return Dataset.from_file(str(file)) if file.is_file() else None
