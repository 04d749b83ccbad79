"""What one folder holds: which model, whole or not, safe or not, and for which task it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from core.catalogue import STARTER_BASE, ModelSpec, find_task
from core.errors import DamagedDownload, NotAModel, UnsafeWeights, WrongTask
from core.repository import RepoFile, choose_weights

ADAPTER_HEADS: Mapping[str, str] = {
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
}
"""PEFT's task_type → the class whose head such an adapter brings."""
HEADS = (*ADAPTER_HEADS.values(), "ForMaskedLM")
"""Ends of classes with a head of their own; PEFT has no task_type for masked language models."""


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds an adapter and no whole model."""
    names = {file.name for file in choose_weights(listed(folder))}
    return (folder / "adapter_config.json").exists() and not any(name.startswith("model") for name in names)


def is_whole(folder: Path) -> bool:
    """Tell whether a starter's folder holds all of a model, and not what is laid over the starters' base."""
    return (folder / "model.safetensors").exists()


def head_of_adapter(folder: Path) -> str | None:
    """Return the end of the class that an adapter brings the head of, or None if it says of none.

    PEFT's task_type tells or, where it was trained without one, the class that it stood on.
    """
    description = read_config(folder, "adapter_config.json")
    stood_on = str((description.get("auto_mapping") or {}).get("base_model_class") or "")
    by_class = next((head for head in HEADS if stood_on.endswith(head)), None)
    return ADAPTER_HEADS.get(str(description.get("task_type")), by_class)


def starter_base_folder() -> Path | None:
    """Return where the Python package keeps the starters' base, or None if it is not installed."""
    try:
        folder = Path(str(distribution(STARTER_BASE.package).locate_file(STARTER_BASE.folder_in_package)))
    except PackageNotFoundError:
        return None
    return folder if folder.is_dir() else None


def verify(path: Path, sha256: str) -> None:
    """Raise DamagedDownload unless the file has this hash; each file version is read once per process."""
    found = sha256_of(path)
    if found != sha256:
        raise DamagedDownload("error.wrong_hash", file=path.name, expected=sha256[:12], found=found[:12])


def sha256_of(path: Path) -> str:
    """Return a file's hash."""
    return _sha256(path, path.stat().st_mtime_ns)


@cache
def _sha256(path: Path, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(folder: Path) -> list[RepoFile]:
    """Return the files of a folder, without those of its folders."""
    return [RepoFile(path.name, path.stat().st_size) for path in sorted(folder.iterdir()) if path.is_file()]


def digest_of_folder(folder: Path) -> str:
    """Return "folder-" and a digest of its files' names, sizes and times: it changes when the folder does."""
    found = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    stamp = [(name, status.st_size, status.st_mtime_ns) for name, status in found]
    return "folder-" + hashlib.sha256(repr(stamp).encode()).hexdigest()[:12]


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Return a JSON object such as config.json; raises NotAModel if it is missing or something else."""
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise NotAModel("error.config_unreadable", file=name, reason=type(problem).__name__) from problem
    if not isinstance(config, dict):
        raise NotAModel("error.config_unreadable", file=name, reason=type(config).__name__)
    return config


def check_task(config: Mapping[str, Any], spec: ModelSpec, head_from: Path | None = None) -> None:
    """Raise UnsafeWeights for a model with code of its own, WrongTask for one that was made for something else.

    `head_from`: the adapter that brings the head; then it decides. What names no class passes here; loading refuses it
    if the head is missing.
    """
    if config.get("auto_map"):
        raise UnsafeWeights("error.remote_code", name=spec.name)
    heads, made_for = find_task(spec.task).heads, _made_for(config, head_from)
    if heads and made_for and not any(name.endswith(heads) for name in made_for):
        raise WrongTask("error.wrong_task", name=spec.name, task=spec.task, made_for=", ".join(made_for))


def _made_for(config: Mapping[str, Any], head_from: Path | None) -> tuple[str, ...]:
    if head_from:
        return tuple(filter(None, (head_of_adapter(head_from),)))
    named = config.get("architectures")
    if named is not None and not isinstance(named, list):
        raise NotAModel("error.config_unreadable", file="config.json", reason="architectures")
    return tuple(map(str, named or ()))
