"""Checkpoints on disk: marked when they are whole, so that a kill at any moment leaves one that can be gone on from.

    checkpoints/checkpoint-N/            as Trainer writes it
    checkpoints/checkpoint-N/whole.json  our mark, written last: every file's size and SHA-256

The older ones go only after the newer one has its mark.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.jobs.files import written_whole
from core.words import Sentence, say

MARK = "whole.json"
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Broken:
    """A checkpoint that cannot be gone on from, and why."""

    step: int
    reason: Sentence


@dataclass(frozen=True)
class Found:
    """The newest whole checkpoint, if any, and the newer ones that are broken, newest first."""

    folder: Path | None
    step: int
    broken: tuple[Broken, ...]


def step_of(checkpoint: Path) -> int:
    """Return the N of "checkpoint-N"; raises ValueError for another name."""
    match = _NAME.fullmatch(checkpoint.name)
    if not match:
        raise ValueError(checkpoint.name)
    return int(match[1])


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the folders "checkpoint-N", newest step first; none where there is no such folder yet."""
    if not folder.is_dir():
        return []
    return sorted((one for one in folder.iterdir() if _is_checkpoint(one)), key=step_of, reverse=True)


def mark(checkpoint: Path) -> None:
    """Say that everything is written: sizes and hashes of all files, in one step; raises OSError."""
    files = {str(path.relative_to(checkpoint)): _fingerprint(path) for path in _files_of(checkpoint)}
    with written_whole(checkpoint / MARK) as draft:
        draft.write_text(json.dumps(files, indent=1), encoding="utf-8")


def fault_in(checkpoint: Path) -> Sentence | None:
    """Return why a checkpoint cannot be trusted, or None when every file is what was marked."""
    marked = _read_mark(checkpoint / MARK)
    if marked is None:
        return say("reason.checkpoint_unfinished")
    for name, expected in marked.items():
        path = checkpoint / name
        if not path.is_file():
            return say("reason.checkpoint_file_missing", file=name)
        if path.stat().st_size != expected["size"] or _fingerprint(path) != expected:
            return say("reason.checkpoint_file_damaged", file=name)
    return None


def newest_whole(folder: Path) -> Found:
    """Look from the newest checkpoint backwards for one that is whole; nothing is changed."""
    broken: list[Broken] = []
    for checkpoint in checkpoints_in(folder):
        reason = fault_in(checkpoint)
        if reason is None:
            return Found(checkpoint, step_of(checkpoint), tuple(broken))
        broken.append(Broken(step_of(checkpoint), reason))
    return Found(None, 0, tuple(broken))


def drop_broken(folder: Path, found: Found) -> None:
    """Remove the broken checkpoints that a search found, so that training writes theirs anew."""
    for one in found.broken:
        shutil.rmtree(folder / f"checkpoint-{one.step}", ignore_errors=True)


def rotate(folder: Path, limit: int, best: str | None = None) -> None:
    """Keep the newest `limit` checkpoints and, beside them, the `best` one; remove the others."""
    name = Path(best).name if best else ""
    for checkpoint in checkpoints_in(folder)[limit:]:
        if checkpoint.name != name:
            shutil.rmtree(checkpoint, ignore_errors=True)


def _is_checkpoint(path: Path) -> bool:
    return path.is_dir() and _NAME.fullmatch(path.name) is not None


def _files_of(checkpoint: Path) -> list[Path]:
    return sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != MARK)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": file.tell(), "sha256": digest}


def _read_mark(path: Path) -> Mapping[str, dict[str, Any]] | None:
    """Read the mark; None while there is none, and for one that makes no sense."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    sound = isinstance(held, dict) and all(isinstance(one, dict) and "size" in one for one in held.values())
    return held if sound else None
