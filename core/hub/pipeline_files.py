"""Which files of a diffusers pipeline are loaded: model_index.json names its components, each in its own folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from core.errors import ModelError, NotAModel, UnsafeWeights
from core.hub.repository import RepoFile, choose_companions, is_pickled_model

INDEX = "model_index.json"
SAFETY_CHECKER = "safety_checker"
"""The only component that a pipeline can do without."""

_WITHOUT_WEIGHTS = re.compile(r".*(Scheduler|Tokenizer|TokenizerFast|Processor|ProcessorFast|FeatureExtractor)")
"""Classes of components that are told everything by their configuration."""
_WEIGHTS = re.compile(
    r"(?P<stem>model|diffusion_pytorch_model)(\.(?P<variant>\w+))?(-\d{5}-of-(?P<shards>\d{5}))?\.safetensors"
)
"""The names that diffusers gives: diffusion_pytorch_model.fp16-00001-of-00002.safetensors."""
_SHARD_INDEX = re.compile(r".*\.safetensors\.index(\.\w+)?\.json")
_PREFERRED = ("fp16", "bf16")
"""Variants that are taken where there is nothing else, in this order; others after them, by their names."""


@dataclass(frozen=True)
class Component:
    """One part of a pipeline: the folder, the library and the class that read it."""

    name: str
    library: str
    class_name: str

    @property
    def has_weights(self) -> bool:
        """False for schedulers, tokenizers and what prepares pictures."""
        return not _WITHOUT_WEIGHTS.fullmatch(self.class_name)


@dataclass(frozen=True)
class PipelineFiles:
    """What loading reads of a pipeline's folder or repository."""

    class_name: str
    components: tuple[Component, ...]
    weights: tuple[RepoFile, ...]
    companions: tuple[RepoFile, ...]
    """The index, configurations, tokenizers."""
    variant: str | None = None
    """The variant that is loaded where some component has no other weights, such as "fp16"."""
    left_out: tuple[str, ...] = ()
    """Components that the index names and that are not loaded."""

    def weights_of(self, component: str) -> tuple[RepoFile, ...]:
        """Return the weight files of one component."""
        return tuple(file for file in self.weights if _folder(file) == component)


def has_index(files: Sequence[RepoFile]) -> bool:
    """Tell whether these files are a diffusers pipeline's."""
    return any(file.name == INDEX for file in files)


def choose_pipeline_files(index: Mapping[str, Any], files: Sequence[RepoFile], name: str) -> PipelineFiles:
    """Return the files of the pipeline called `name` that loading needs: one set of safetensors for each component.

    Full weights are taken where every component has them, else the one variant that fills all gaps, as diffusers loads
    it. A safety checker without safetensors is left out. Raises UnsafeWeights for code of its own or weights that are
    only pickled, NotAModel for an index that is none, and for weights that are missing or incomplete.
    """
    class_name, components = _read_index(index, files, name)
    offers = {one.name: _offers(one, files) for one in components if one.has_weights}
    left_out = tuple(one for one in offers if one == SAFETY_CHECKER and not offers[one])
    wanted = {one: offer for one, offer in offers.items() if one not in left_out}
    empty = next((one for one, offer in wanted.items() if not offer), None)
    if empty:
        raise _no_weights(name, empty, files)
    variant = _variant(wanted, name)
    chosen = {one: offer.get(variant) or offer[None] for one, offer in wanted.items()}
    kept = tuple(one for one in components if one.name not in left_out)
    return PipelineFiles(
        class_name=class_name,
        components=kept,
        weights=tuple(file for several in chosen.values() for file in several),
        companions=_companions(files, {one.name for one in kept}, chosen),
        variant=variant,
        left_out=left_out,
    )


def _read_index(index: Mapping[str, Any], files: Sequence[RepoFile], name: str) -> tuple[str, tuple[Component, ...]]:
    class_name = index.get("_class_name")
    if isinstance(class_name, list):  # [file, class]: a pipeline in the repository's own Python
        raise UnsafeWeights("error.remote_code", name=name)
    pairs = {key: value for key, value in index.items() if not key.startswith("_") and _is_library_and_class(value)}
    if not isinstance(class_name, str) or not pairs or not all(re.fullmatch(r"\w+", key) for key in pairs):
        raise NotAModel("error.config_unreadable", file=INDEX, reason="_class_name")
    names = {file.name for file in files}
    if any(f"{key}/{library}.py" in names for key, (library, _) in pairs.items()):
        raise UnsafeWeights("error.remote_code", name=name)
    return class_name, tuple(Component(key, *value) for key, value in pairs.items())


def _is_library_and_class(value: object) -> bool:
    """Tell a component from other settings, and from one that is not there: [null, null]."""
    return isinstance(value, list) and [type(one) for one in value] == [str, str]


def _offers(component: Component, files: Sequence[RepoFile]) -> dict[str | None, tuple[RepoFile, ...]]:
    """Return the complete sets of weights that a component's folder holds, by variant (None = the full ones)."""
    stem = "diffusion_pytorch_model" if component.library == "diffusers" else "model"
    found: dict[str | None, list[tuple[RepoFile, int]]] = {}
    for file in files:
        match = _WEIGHTS.fullmatch(PurePosixPath(file.name).name) if _folder(file) == component.name else None
        if match and match["stem"] == stem:
            found.setdefault(match["variant"], []).append((file, int(match["shards"] or 0)))
    return {variant: whole for variant, several in found.items() if (whole := _whole(several))}


def _whole(files: Sequence[tuple[RepoFile, int]]) -> tuple[RepoFile, ...]:
    """Return the one file of a component, else all its shards, else nothing."""
    alone = tuple(file for file, shards in files if not shards)
    shards = tuple(file for file, count in files if count)
    return alone[:1] or (shards if all(count == len(shards) for _, count in files) else ())


def _variant(offers: Mapping[str, Mapping[str | None, Any]], name: str) -> str | None:
    """Return None where every component has full weights, else the variant that all the others have."""
    without = [set(offer) - {None} for offer in offers.values() if None not in offer]
    if not without:
        return None
    shared = set[str | None].intersection(*without)
    preferred = (*_PREFERRED, *sorted(filter(None, shared)))
    found = next((one for one in preferred if one in shared), None)
    if found is None:
        raise NotAModel("error.pipeline_variants", name=name)
    return found


def _companions(
    files: Sequence[RepoFile], components: set[str], chosen: Mapping[str, Sequence[RepoFile]]
) -> tuple[RepoFile, ...]:
    """Return the index and the small files in the components' folders, of shard indices only those in use."""
    return tuple(
        file
        for file in choose_companions(files)
        if file.name == INDEX
        or (_folder(file) in components and not _SHARD_INDEX.fullmatch(file.name))
        or any(file.name == _shard_index(several) for several in chosen.values())
    )


def _shard_index(weights: Sequence[RepoFile]) -> str | None:
    """Return the name of the file that tells which tensor lies in which shard, or None for one file."""
    match = _WEIGHTS.fullmatch(PurePosixPath(weights[0].name).name)
    if match is None or not match["shards"]:
        return None
    variant = f".{match['variant']}" if match["variant"] else ""
    return f"{_folder(weights[0])}/{match['stem']}.safetensors.index{variant}.json"


def _no_weights(name: str, component: str, files: Sequence[RepoFile]) -> ModelError:
    here = [file.name for file in files if _folder(file) == component]
    pickles = ", ".join(sorted(filter(is_pickled_model, here)))
    if pickles:
        return UnsafeWeights("error.hub_only_pickles", repo_id=name, files=pickles)
    return NotAModel("error.component_without_weights", name=name, component=component)


def _folder(file: RepoFile) -> str:
    return str(PurePosixPath(file.name).parent)
