"""What one folder holds: which model, whole or not, safe or not, and for which task it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from core.catalogue import STARTER_BASE, ModelSpec, Task, find_task
from core.errors import DamagedDownload, NotAModel, UnsafeWeights, WrongTask
from core.hub.pipeline_files import INDEX, PipelineFiles, choose_pipeline_files
from core.hub.repository import RepoFile, choose_weights
from core.models.pipeline_tasks import CONTROLNET, can_do

ADAPTER_HEADS: Mapping[str, str] = {
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
}
"""PEFT's task_type → the class whose head such an adapter brings."""
HEADS = (*ADAPTER_HEADS.values(), "ForMaskedLM")
"""Ends of classes with a head of their own; PEFT has no task_type for masked language models."""
DIFFUSERS_FORMS = ("pipeline", "controlnet")
WHOLE = ("model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_lora_weights.safetensors", INDEX)
"""Files of which one is there where a starter stands on its own."""


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds an adapter and no whole model."""
    names = {file.name for file in choose_weights(listed(folder))}
    return (folder / "adapter_config.json").exists() and not any(name.startswith("model") for name in names)


def is_whole(folder: Path) -> bool:
    """Tell whether a starter's folder holds all of a model, and not what is laid over the starters' base."""
    return any((folder / name).exists() for name in WHOLE)


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
    """Return the files of a folder; those of its folders, too, where they are the components of a pipeline."""
    return [RepoFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in _files_of(folder)]


def _files_of(folder: Path) -> list[Path]:
    inner = folder.glob("*/*") if (folder / INDEX).is_file() else ()
    return sorted(path for path in (*folder.iterdir(), *inner) if path.is_file())


def pipeline_in(folder: Path) -> PipelineFiles | None:
    """Return what loading reads of the pipeline in a folder, or None if there is none; raises NotAModel."""
    if not (folder / INDEX).is_file():
        return None
    return choose_pipeline_files(read_config(folder, INDEX), listed(folder), folder.name)


def digest_of_folder(folder: Path) -> str:
    """Return "folder-" and a digest of its files' names, sizes and times: it changes when the folder does."""
    found = [(path.relative_to(folder).as_posix(), path.stat()) for path in _files_of(folder)]
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


def describe(folder: Path) -> dict[str, Any]:
    """Return a pipeline's model_index.json, or any other model's config.json; raises NotAModel."""
    return read_config(folder, INDEX if (folder / INDEX).is_file() else "config.json")


def check_task(config: Mapping[str, Any], spec: ModelSpec, head_from: Path | None = None) -> None:
    """Raise UnsafeWeights for a model with code of its own, WrongTask for one that was made for something else.

    `head_from`: the adapter that brings the head; then it decides. What names no class passes here; loading refuses it
    if the head is missing.
    """
    if config.get("auto_map"):
        raise UnsafeWeights("error.remote_code", name=spec.name)
    task = find_task(spec.task)
    class_name = config.get("_class_name")
    if class_name is not None or task.form in DIFFUSERS_FORMS:
        _check_class(str(class_name or config.get("model_type")), task, spec)
        return
    heads, made_for = task.heads, _made_for(config, head_from)
    if heads and made_for and not any(name.endswith(heads) for name in made_for):
        raise WrongTask("error.wrong_task", name=spec.name, task=spec.task, made_for=", ".join(made_for))


def _check_class(class_name: str, task: Task, spec: ModelSpec) -> None:
    """Raise WrongTask unless a class of diffusers, by its name, does `task`."""
    made = {"pipeline": lambda: can_do(task.name, class_name), "controlnet": lambda: class_name == CONTROLNET}
    if task.form not in made or not made[task.form]():
        raise WrongTask("error.wrong_task", name=spec.name, task=spec.task, made_for=class_name)


def _made_for(config: Mapping[str, Any], head_from: Path | None) -> tuple[str, ...]:
    if head_from:
        return tuple(filter(None, (head_of_adapter(head_from),)))
    named = config.get("architectures")
    if named is not None and not isinstance(named, list):
        raise NotAModel("error.config_unreadable", file="config.json", reason="architectures")
    return tuple(map(str, named or ()))
