"""Which repositories or folders answered, and at which commit: what plain transformers must be told."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from core.catalogue import STARTER_BASE, starter_folder
from core.models.folder import is_whole
from core.models.loading import read_config, starter_base_folder
from core.models.run_files import PICTURE_LORA
from core.models.weights import head_of_adapters, labels_of_adapter
from core.provenance import Provenance
from core.settings import PROJECT

STARTER = "starter/"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Place:
    """A Hub repository at one commit, or a folder (revision None)."""

    name: str
    revision: str | None = None


@dataclass(frozen=True)
class Origin:
    """The parts of one model: weights, adapters laid over them in this order, config.json if it lies elsewhere."""

    base: Place | None
    """None: the base that the first adapter names in its adapter_config.json, at `base_revision`."""
    adapters: tuple[Place, ...] = ()
    config: Place | None = None
    base_revision: str | None = None
    packaged: bool = False
    """The base is STARTER_BASE, from its Python package."""
    head: str | None = None
    """The end of the class that the adapters were made for, such as "ForTokenClassification"; None = a bare encoder."""
    labels: int | None = None
    """How many the last adapter's head has, where no config.json says so and the base does not have as many."""
    tokenizer: Place | None = None
    """Where the tokenizer lies if not with the base."""

    @property
    def encoder_decoder(self) -> bool:
        """True for a model that reads with one half and writes with the other, such as T5 and BART."""
        return bool(self.folder and read_config(self.folder).get("is_encoder_decoder"))

    @property
    def labels_of_base(self) -> int | None:
        """How many labels the base's config.json names, 2 where it names none; None where this machine has no such."""
        return len(read_config(self.folder).get("id2label") or (0, 1)) if self.folder else None

    @property
    def folder(self) -> Path | None:
        """Where this machine keeps the base's config.json; None for a packaged base, or one that only adapters name."""
        found = file_of(self.base, "config.json") if self.base and not self.packaged else None
        return found.parent if found else None


def origin_of(model: str, provenance: Provenance) -> Origin:
    """Read the parts from what ran; `model` is the name as it was typed, for the adapters behind its "+"."""
    if provenance.lineage:
        return _trained(provenance)
    named = Place(*_at_commit(provenance.model, provenance.revision))
    commits = [label.rpartition("@")[2] for label in (provenance.adapter or "").split(", ") if label]
    typed = [name.partition("@")[0].strip() for name in model.split("+")[1:]]
    if provenance.model.startswith("starter/"):
        return _starter(provenance, adapted=bool(commits))
    if len(commits) > len(typed):  # the name itself is an adapter
        own = (Place(*_at_commit(provenance.model, commits[0])),)
        adapters = (*own, *_places(typed, commits[1:]))
        return _on_base_of_adapter(adapters, provenance.revision)
    return _with_heads(Origin(named, _places(typed, commits)))


def place_of(name: str, revision: str) -> Place:
    """Return where a model that stands alone came from: a starter's folder, a repository at its commit, or a folder."""
    if name.startswith(STARTER):
        return Place(f"assets/starters/{name.removeprefix(STARTER)}")
    return Place(*_at_commit(name, revision))


def base_of_trained(provenance: Provenance) -> tuple[Place, tuple[Place, ...]]:
    """Return what a model that was trained here stands on, and what was laid over that, each by its own place."""
    laid = [label for label in provenance.lineage if _is_laid(label, provenance)]
    first = next((label for label in reversed(provenance.lineage) if label not in laid), provenance.lineage[0])
    return _labelled(first, provenance), tuple(_labelled(label, provenance) for label in laid)


def _is_laid(label: str, provenance: Provenance) -> bool:
    folder = Path(dict(provenance.places).get(label, ""))
    return label in (provenance.adapter or "").split(", ") or any((folder / one).is_file() for one in PICTURE_LORA)


def _labelled(label: str, provenance: Provenance) -> Place:
    """Return the place of name@revision; a run's is its folder, relative to the project where it lies in that."""
    found = dict(provenance.places).get(label)
    name, _, revision = label.rpartition("@")
    if found is None:
        return place_of(name, revision)
    path = Path(found)
    return Place(path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path))


def _trained(provenance: Provenance) -> Origin:
    base, adapters = base_of_trained(provenance)
    packaged = base.name == STARTER_BASE.hub_id and base.revision is None and starter_base_folder() is not None
    own = next((one for one in reversed(adapters) if file_of(one, "tokenizer_config.json")), None)
    return _with_heads(Origin(base, adapters, packaged=packaged, tokenizer=own))


def _starter(provenance: Provenance, *, adapted: bool) -> Origin:
    """Name a starter by its folder, relative to the project, so that the code is the same on every machine."""
    folder = Place(f"assets/starters/{provenance.model.removeprefix('starter/')}")
    if is_whole(starter_folder(provenance.model)):
        return Origin(folder)
    base = Place(STARTER_BASE.hub_id)
    packaged = starter_base_folder() is not None
    if not adapted:
        return Origin(base, packaged=packaged)
    head = head_of_adapters([starter_folder(provenance.model)])
    return Origin(base, (folder,), folder, packaged=packaged, head=head)


def _on_base_of_adapter(adapters: tuple[Place, ...], revision: str) -> Origin:
    if revision == STARTER_BASE.sha256[:12]:
        return _with_heads(Origin(Place(STARTER_BASE.hub_id), adapters, packaged=True))
    commit = revision if _COMMIT.fullmatch(revision) else None
    return _with_heads(Origin(None, adapters, base_revision=commit))


def _with_heads(origin: Origin) -> Origin:
    """Read what the adapters say of their head; one whose files are gone by now says nothing."""
    described = (file_of(place, "adapter_config.json") for place in origin.adapters)
    head, config = head_of_adapters([path.parent for path in described if path]), _config(origin.adapters)
    return replace(origin, config=config, head=head, labels=None if config else _labels(origin))


def _labels(origin: Origin) -> int | None:
    weights = file_of(origin.adapters[-1], "adapter_model.safetensors") if origin.adapters else None
    found = labels_of_adapter(weights.parent) if weights else None
    return None if found == origin.labels_of_base else found


def _places(names: list[str], commits: list[str]) -> tuple[Place, ...]:
    return tuple(Place(*_at_commit(name, commit)) for name, commit in zip(names, commits, strict=False))


def _at_commit(name: str, revision: str) -> tuple[str, str | None]:
    """Pin only what is a commit: the revision of a folder is a digest that no library knows."""
    return name, revision if _COMMIT.fullmatch(revision) else None


def _config(adapters: tuple[Place, ...]) -> Place | None:
    """Return the last adapter that brings a config.json of its own."""
    return next((place for place in reversed(adapters) if _has_config(place)), None)


def _has_config(place: Place) -> bool:
    return file_of(place, "config.json") is not None


def file_of(place: Place, name: str) -> Path | None:
    """Return a file of this folder, or of the Hub's cache; the model has run, so its files are on this machine."""
    if place.revision is None:
        path = PROJECT / place.name / name  # starters are named relative to the project
        return path if path.exists() else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(place.name, name, revision=place.revision)
    return Path(cached) if isinstance(cached, str) else None
