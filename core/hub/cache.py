"""One repository's folder in huggingface_hub's cache, read without network."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import NotAModel
from core.hub.repository import COMMIT, RepoFile, valid_sha256

CONFIGURATIONS = ("model_index.json", "config.json", "adapter_config.json")
"""Where a model describes itself: a diffusers pipeline, a transformers model, an adapter."""


@dataclass(frozen=True)
class Cache:
    """What the cache holds of one repository: `root` is the whole cache, shared with every other program."""

    root: Path
    repo_id: str

    @property
    def folder(self) -> Path:
        """The repository's own folder."""
        from huggingface_hub.file_download import repo_folder_name

        return self.root / repo_folder_name(repo_id=self.repo_id, repo_type="model")

    def snapshot(self, commit: str) -> Path:
        """Return the folder that from_pretrained gets."""
        return self.folder / "snapshots" / commit

    def blob(self, sha256: str) -> Path:
        """Return where the bytes of a large file lie, once."""
        return self.folder / "blobs" / sha256

    def partial(self, sha256: str) -> Path:
        """Return where the bytes of a large file gather until they are all there."""
        return self.folder / "blobs" / f"{sha256}.incomplete"

    def marker(self, sha256: str) -> Path:
        """Return the file that remembers that a blob was checked: its size and modification time then."""
        return self.folder / ".verified" / sha256

    def missing_bytes(self, file: RepoFile, commit: str) -> int:
        """Return how much of `file` would have to be fetched now."""
        if (self.snapshot(commit) / file.name).is_file():
            return 0
        if not file.sha256:
            return file.size_bytes
        if self.blob(file.sha256).is_file():
            return 0
        return max(file.size_bytes - size_of(self.partial(file.sha256)), 0)

    def files(self, commit: str) -> tuple[RepoFile, ...]:
        """List a snapshot; the blob that a file links to is named by its sha256 if the file is large."""
        snapshot = self.snapshot(commit)
        return tuple(
            RepoFile(path.relative_to(snapshot).as_posix(), path.stat().st_size, valid_sha256(_blob_name(path)))
            for path in sorted(snapshot.rglob("*"))
            if path.is_file()
        )

    def configuration(self, commit: str) -> Mapping[str, Any]:
        """Return the model's description of itself as far as it is here; {} if it is not."""
        paths = [self.snapshot(commit) / name for name in CONFIGURATIONS]
        return next((read_object(path) for path in paths if path.is_file()), {})

    def commit_of(self, revision: str) -> str | None:
        """Return the commit that a branch or tag meant when it was last seen; None if it never was."""
        if COMMIT.fullmatch(revision):
            return revision
        path = self.folder / "refs" / revision
        return path.read_text(encoding="ascii").strip() if path.is_file() else None

    def remember_revision(self, revision: str, commit: str) -> None:
        """Write down what a branch or tag means, so that it can be found offline."""
        if self.commit_of(revision) == commit or not os.access(self.folder, os.W_OK):
            return
        _write(self.folder / "refs" / revision, commit)

    @property
    def conversion(self) -> str | None:
        """The pull request whose safetensors stand for main's pickles, where they were downloaded."""
        path = self.folder / ".converted"
        return path.read_text(encoding="ascii").strip() if path.is_file() else None

    def remember_conversion(self, revision: str) -> None:
        """Write down which pull request that is, so that it can be found offline."""
        if self.conversion != revision and os.access(self.folder, os.W_OK):
            _write(self.folder / ".converted", revision)


def _write(path: Path, line: str) -> None:
    """Write a file of one line at once, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    beside.write_text(line, encoding="ascii")
    beside.replace(path)


def size_of(path: Path) -> int:
    """Return a file's size in bytes, 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def _blob_name(path: Path) -> str | None:
    return path.readlink().name if path.is_symlink() else None


def read_object(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file; raises NotAModel if it holds anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise NotAModel("error.hub_bad_config", file=path.name) from problem
    if not isinstance(content, dict):
        raise NotAModel("error.hub_bad_config", file=path.name)
    return content
