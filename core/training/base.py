"""The model that a training begins with: found by name, looked at before a byte of its weights is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.catalogue import STARTER_BASE, ModelSpec, Source
from core.errors import InvalidInput
from core.events import CancelToken
from core.models.files import ANY_ENCODER, ModelFiles, Preview, Report
from core.models.folder import starter_base_folder
from core.models.run_files import is_prompt
from core.placement.model_facts import ModelFacts
from core.training.settings import TrainSettings

if TYPE_CHECKING:
    from core.models.registry import Registry

Resolve = Callable[[str, str], ModelSpec]
"""From a typed name and a task of core.known_tasks to what it means: Registry.resolve or Catalogue.resolve."""
PLAIN_STARTER = "starter/embeddings"
"""The starter that is the starters' base and nothing else."""


class Files(Protocol):
    """What is needed of core.models.files.Finder, or of the Loader that is one."""

    def locate(self, spec: ModelSpec, report: Report | None = None, cancel: CancelToken | None = None) -> ModelFiles:
        """Find the files, downloading what is missing."""

    def preview(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Preview:
        """Look at it from outside."""

    def configurations(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Mapping[str, Mapping[str, Any]]:
        """Read its config.json, under "", and those of a pipeline's components."""


@dataclass(frozen=True)
class Base:
    """A base model seen from outside."""

    spec: ModelSpec
    name: str
    """As the run's record names it: a Hub id wherever it has one."""
    revision: str
    facts: ModelFacts
    configurations: Mapping[str, Mapping[str, Any]]
    """Its config.json under "" (of a pipeline model_index.json), and those of a pipeline's components."""
    download_bytes: int = 0

    @property
    def config(self) -> Mapping[str, Any]:
        """config.json, or model_index.json of a pipeline."""
        return self.configurations[""]


def base_spec(settings: TrainSettings, resolve: Resolve) -> ModelSpec:
    """Return what the model's name means here; raises what `resolve` does, and InvalidInput for a model elsewhere.

    A head is no concern: the training brings its own where the checkpoint has none. The starters' base is the one in
    the Python package, where that is installed: the same bytes, without a Hub.
    """
    name = settings.model_name
    if name == STARTER_BASE.hub_id and starter_base_folder() is not None:
        name = PLAIN_STARTER
    task = settings.known_task
    spec = resolve(name, "text-to-image" if task.kind == "diffusion" else ANY_ENCODER)
    if spec.source.remote:
        raise InvalidInput("error.train_model_elsewhere", name=name)
    return spec


def look_at(spec: ModelSpec, files: Files, cancel: CancelToken | None = None) -> Base:
    """Read facts and configuration; of a model on the Hub only small files. Raises HubError or ModelError."""
    seen = files.preview(spec, cancel)
    configurations = files.configurations(spec, cancel)
    return Base(spec, recorded_name(spec), seen.revision, seen.facts, configurations, seen.download_bytes)


def refuse_prompts(spec: ModelSpec, adapters: Iterable[Path]) -> None:
    """Raise InvalidInput for a base with learnt inputs before its own: no weights can take them in, to go on from."""
    if any(map(is_prompt, adapters)):
        raise InvalidInput("error.train_continues_prompts", name=spec.name)


def adapter_here(spec: ModelSpec, registry: Registry) -> tuple[Path, ...]:
    """Return the folder of this machine that the name itself means, where a run's or an adapter's files may lie."""
    if spec.source is Source.RUN:
        return (registry.run(spec.name).result,)
    return (Path(spec.name),) if spec.source is Source.FOLDER else ()


def recorded_name(spec: ModelSpec) -> str:
    """Return the name under which others find the base: the starters' base has one on the Hub."""
    plain = spec.source is Source.STARTER and spec.name == PLAIN_STARTER
    return STARTER_BASE.hub_id if plain else spec.name
