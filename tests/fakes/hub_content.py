"""What the miniature Hub holds, hears and suffers."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

LARGE = (".safetensors", ".bin", ".pt", ".h5", ".msgpack", ".onnx", ".model")


def is_large(name: str) -> bool:
    """Tell whether the Hub keeps this file outside git, under its sha256."""
    return name.endswith(LARGE)


def sha256(content: bytes) -> str:
    """Return the name of large content."""
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    """Return git's name of small content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 as git does


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    range: str | None
    host: str
    authorization: str | None


@dataclass
class FakeRepository:
    """One repository as the server sees it."""

    folder: Path
    revisions: dict[str, str]
    gated: bool
    private: bool
    description: dict[str, Any]
    commits: set[str] = field(default_factory=set)
    folders: dict[str, Path] = field(default_factory=dict)
    """Where another commit than the first has its files, if not in `folder`."""
    discussions: list[dict[str, Any]] = field(default_factory=list)
    """Discussions and pull requests, as /discussions lists them."""

    def at(self, commit: str) -> FakeRepository:
        """Return the repository with the files of this commit."""
        return replace(self, folder=self.folders.get(commit, self.folder))

    def holding(self, name: str) -> Path:
        """Return the first folder that has this file."""
        return next(folder for folder in (self.folder, *self.folders.values()) if (folder / name).is_file())

    def commit_of(self, revision: str) -> str | None:
        """Resolve a branch, tag or commit."""
        return revision if revision in self.commits else self.revisions.get(revision)

    def names(self) -> list[str]:
        """Every file, relative to the root."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def sibling(self, name: str, *, blobs: bool) -> dict[str, Any]:
        """Describe a file as /api/models does, with sizes and hashes if `blobs`."""
        if not blobs:
            return {"rfilename": name}
        content = (self.folder / name).read_bytes()
        lfs = {"lfs": {"sha256": sha256(content), "size": len(content), "pointerSize": 134}} if is_large(name) else {}
        return {"rfilename": name, "size": len(content), "blobId": git_hash(content), **lfs}

    def entry(self, name: str) -> dict[str, Any]:
        """Describe a file as /tree does."""
        content = (self.folder / name).read_bytes()
        lfs = {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 134}} if is_large(name) else {}
        return {"type": "file", "path": name, "size": len(content), "oid": git_hash(content), **lfs}


@dataclass
class Trouble:
    """What goes wrong with the content of a file, `times` times (None = always)."""

    kind: str
    times: int | None
    after: int = 0
    hold: threading.Event | None = None

    def happens(self) -> bool:
        """Use up one occurrence."""
        if self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True
