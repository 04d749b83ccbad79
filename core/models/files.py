"""Where a model's files are: a starter, a Hub repository or a folder, and under an adapter the base it names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalogue import (
    STARTER_BASE,
    Catalogue,
    ModelSpec,
    Source,
    find_task,
    split_revision,
    starter_folder,
    starter_metrics,
)
from core.errors import NotAModel, UnknownName, UnsafeWeights, WrongTask
from core.events import CancelToken, Progress
from core.hub.adapter_files import choose_adapter_file
from core.hub.pipeline_files import INDEX
from core.hub.repository import Repository, require_weights
from core.hub.safetensors_header import read_header
from core.models.file_facts import configurations_of, facts_of, facts_on_hub
from core.models.folder import (
    check_task,
    describe,
    digest_of_folder,
    is_adapter,
    is_whole,
    listed,
    pipeline_in,
    read_config,
    sha256_of,
    starter_base_folder,
    verify,
)
from core.models.model_files import ModelFiles
from core.models.run_files import on_base, require_whole
from core.placement.planner import ModelFacts
from core.runs import Run

if TYPE_CHECKING:
    from core.hub.client import Hub

__all__ = ["ANY_ENCODER", "Finder", "ModelFiles", "Preview", "Report", "folder_files"]

Report = Callable[[Progress], None]
MOST_LAYERS = 4
"""Adapters that may stand on each other; more, or a circle, is a mistake in adapter_config.json."""

ANY_ENCODER = "feature-extraction"
"""The task under which a base is looked for: the adapter brings the head."""


@dataclass(frozen=True)
class Preview:
    """A model seen from outside: the planner's facts, the revision, and the bytes still to download."""

    facts: ModelFacts
    revision: str
    download_bytes: int


@dataclass(frozen=True)
class _Search:
    """What goes with one search: whom to tell, who may stop it, and what led here."""

    report: Report | None = None
    cancel: CancelToken | None = None
    above: tuple[str, ...] = field(default_factory=tuple)
    """The adapters that led here."""

    def under(self, name: str) -> _Search:
        """Return the search for the base of adapter `name`."""
        if len(self.above) >= MOST_LAYERS:
            raise NotAModel("error.adapters_in_circle", names=" → ".join((*self.above, name)))
        return replace(self, above=(*self.above, name))


class Finder:
    """Finds files and facts; loads nothing."""

    def __init__(self, catalogue: Catalogue, hub: Hub) -> None:
        """Keep the catalogue (names inside adapters are resolved by it, too) and the Hub."""
        self._catalogue = catalogue
        self._hub = hub

    def locate(self, spec: ModelSpec, report: Report | None = None, cancel: CancelToken | None = None) -> ModelFiles:
        """Find the files of `spec`, downloading what is missing; raises HubError or ModelError."""
        _require_files(spec)
        search = _Search(report, cancel)
        if find_task(spec.task).form == "adapter":
            return self._locate_adapter(spec, search)
        files = self._locate(spec, search)
        check_task(describe(files.config_folder), spec, files.head_from)
        return files

    def facts(self, spec: ModelSpec, files: ModelFiles) -> ModelFacts:
        """Return the planner's facts from config.json and the safetensors headers; loads no weights."""
        _require_model(spec)
        facts = facts_of(files)
        if spec.source is Source.STARTER:
            return replace(facts, bf16_agrees=starter_metrics(spec.name).get("bf16_agrees"))
        return facts

    def preview(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Preview:
        """Return what is known before the weights are here; of a Hub model only small files are read."""
        _require_files(spec)
        _require_model(spec)
        return self._preview(spec, _Search(cancel=cancel))

    def configurations(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Mapping[str, Mapping[str, Any]]:
        """Return config.json or model_index.json under "", and a pipeline's components' by name; no weights are read.

        An adapter's is that of the base it stands on. Raises HubError or ModelError.
        """
        _require_files(spec)
        if spec.source is Source.HUB:
            repository = self._hub.look_up(spec.name, spec.revision, cancel)
            known = self._hub.facts(repository, cancel)
            base = self._base_of(known.config) if "base_model_name_or_path" in known.config else None
            if base:
                return self.configurations(base, cancel)
            if "base_model_name_or_path" not in known.config:
                return {"": known.config, **known.components}
        if spec.source is Source.RUN:
            return self._configurations_of_run(self._catalogue.run(spec.name), cancel)
        return configurations_of(self._locate(spec, _Search(cancel=cancel)))

    def _locate(self, spec: ModelSpec, search: _Search) -> ModelFiles:
        if spec.source is Source.STARTER:
            return self._locate_starter(spec.name, search)
        if spec.source is Source.FOLDER:
            folder = Path(spec.name)
            return self._on_its_base(folder_files(folder), folder.name, search)
        if spec.source is Source.RUN:
            return self._locate_run(self._catalogue.run(spec.name), search)
        asked = None if spec.adapters else spec
        files = self._on_its_base(self._download(spec.name, spec.revision, asked, search), spec.name, search)
        for adapter in spec.adapters:
            name, revision = split_revision(adapter)
            files = _with_adapter(files, self._download(name, revision, None, search), name)
        return files

    def _locate_adapter(self, spec: ModelSpec, search: _Search) -> ModelFiles:
        """Find one safetensors file; its header is read, so that a damaged one is told here."""
        if spec.source is Source.HUB:
            repository = self._hub.look_up(spec.name, spec.revision, search.cancel, adapter=True)
            folder = self._hub.download(repository, progress=search.report, cancel=search.cancel)
            path, revision = folder / repository.weights[0].name, repository.commit
        else:
            path = _adapter_in(self._place_of(spec))
            revision = sha256_of(path)[:12]
        read_header(path)
        return ModelFiles(path.parent, path.parent, revision, adapter_file=path)

    def _place_of(self, spec: ModelSpec) -> Path:
        """Return the folder (or the file) in which an adapter of this machine lies."""
        if spec.source is Source.RUN:
            run = self._catalogue.run(spec.name)
            require_whole(run)
            return run.result
        return starter_folder(spec.name) if spec.source is Source.STARTER else Path(spec.name)

    def _locate_run(self, run: Run, search: _Search) -> ModelFiles:
        """Find a run's result, under an adapter the base that it was trained on; raises NotAModel, HubError."""
        require_whole(run)
        if run.whole:
            places = ((run.lineage[-1], str(run.result)),)
            return replace(folder_files(run.result), revision=run.revision, lineage=run.lineage, places=places)
        base = self._spec_under(run)
        found = self._locate(base, search.under(run.name)) if base else self._starter_base(search)
        return on_base(run, found)

    def _spec_under(self, run: Run) -> ModelSpec | None:
        """Return the base of a run; None = the starters' base, which is here."""
        if run.base.id == STARTER_BASE.hub_id and run.base.source == Source.STARTER.value:
            return None
        try:
            return self._catalogue.resolve(run.base.name, "text-to-image" if run.draws else ANY_ENCODER)
        except UnknownName as problem:
            raise NotAModel("error.run_base_gone", name=run.name, base=run.base.id) from problem

    def _preview_run(self, run: Run, search: _Search) -> Preview:
        """Look at a run; the weights of its base may still have to be downloaded."""
        require_whole(run)
        base = None if run.whole else self._spec_under(run)
        if base is None:
            files = self._locate_run(run, search)
            return Preview(facts_of(files), files.revision, 0)
        return self._preview(base, search.under(run.name))

    def _configurations_of_run(self, run: Run, cancel: CancelToken | None) -> Mapping[str, Mapping[str, Any]]:
        require_whole(run)
        base = self._spec_under(run) if run.draws and not run.whole else None
        if base:
            return self.configurations(base, cancel)
        return configurations_of(self._locate_run(run, _Search())) if run.draws else {"": describe(run.result)}

    def _locate_starter(self, name: str, search: _Search) -> ModelFiles:
        folder = starter_folder(name)
        if is_whole(folder):
            return _with_digest(ModelFiles(folder, folder, ""))
        base = self._starter_base(search)
        weights = folder / "adapter_model.safetensors"
        if not weights.exists():
            return base
        revision = sha256_of(weights)[:12]
        return replace(
            base,
            config_folder=folder,
            revision=revision,
            adapters=(folder,),
            adapter_label=f"{name}@{revision}",
            base_label=STARTER_BASE.hub_id,
        )

    def _starter_base(self, search: _Search) -> ModelFiles:
        """Find the package, else download the same bytes; both are held against the hash in the catalogue."""
        base = starter_base_folder() or self._download(STARTER_BASE.hub_id, None, None, search).folder
        verify(base / "model.safetensors", STARTER_BASE.sha256)
        return ModelFiles(base, base, STARTER_BASE.sha256[:12])

    def _download(self, name: str, revision: str | None, asked: ModelSpec | None, search: _Search) -> ModelFiles:
        """Bring a repository here; what `asked` cannot use is refused before its weights are fetched."""
        repository = self._hub.look_up(name, revision, search.cancel)
        if repository.has_remote_code:
            raise UnsafeWeights("error.remote_code", name=name)
        if asked and repository.download_bytes:
            check_task(self._hub.configuration(repository), asked)
        folder = self._hub.download(repository, progress=search.report, cancel=search.cancel)
        return ModelFiles(folder, folder, repository.commit)

    def _on_its_base(self, files: ModelFiles, name: str, search: _Search) -> ModelFiles:
        """Where the files are an adapter, put its base under it; the base passes the same rules as a typed name."""
        if not is_adapter(files.folder):
            return files
        base = self._base_of(read_config(files.folder, "adapter_config.json"))
        if base is None:
            found, label = self._starter_base(search), STARTER_BASE.hub_id
        else:
            found, label = self._locate(base, search.under(name)), base.name
        return _with_adapter(found, files, name, label)

    def _base_of(self, description: Mapping[str, Any]) -> ModelSpec | None:
        """Return the base that an adapter names, with whatever head; None = the starters' base, which is here."""
        name = str(description.get("base_model_name_or_path") or "").strip()
        if not name:
            raise NotAModel("error.adapter_without_base")
        if name == STARTER_BASE.hub_id and starter_base_folder():
            return None
        revision = description.get("revision")
        return self._catalogue.resolve(f"{name}@{revision}" if isinstance(revision, str) else name, ANY_ENCODER)

    def _preview(self, spec: ModelSpec, search: _Search) -> Preview:
        if spec.source is Source.RUN:
            run = self._catalogue.run(spec.name)
            if not run.draws:
                check_task(describe(run.result), spec)
            return self._preview_run(run, search)
        if spec.source is Source.HUB:
            return self._preview_repository(spec, search)
        if spec.source is Source.STARTER and not is_whole(starter_folder(spec.name)) and starter_base_folder() is None:
            base = self._catalogue.resolve(STARTER_BASE.hub_id, ANY_ENCODER)
            return self._preview_repository(base, search)
        if spec.source is Source.FOLDER and is_adapter(Path(spec.name)):
            files = folder_files(Path(spec.name))
            return self._preview_base(read_config(files.folder, "adapter_config.json"), spec.name, search)
        files = self._locate(spec, search)
        check_task(describe(files.config_folder), spec, files.head_from)
        return Preview(self.facts(spec, files), files.revision, 0)

    def _preview_repository(self, spec: ModelSpec, search: _Search) -> Preview:
        repository, *adapters = self._repositories(spec, search)
        known = self._hub.facts(repository, search.cancel)
        download = sum(one.download_bytes for one in (repository, *adapters))
        if "base_model_name_or_path" in known.config:
            base = self._preview_base(known.config, spec.name, search)
            return replace(base, revision=repository.commit, download_bytes=base.download_bytes + download)
        if not adapters:
            check_task(known.config, spec)
        return Preview(facts_on_hub(known), repository.commit, download)

    def _preview_base(self, description: Mapping[str, Any], name: str, search: _Search) -> Preview:
        base = self._base_of(description)
        if base is None:
            files = self._starter_base(search)
            return Preview(facts_of(files), files.revision, 0)
        return self._preview(base, search.under(name))

    def _repositories(self, spec: ModelSpec, search: _Search) -> list[Repository]:
        named = [(spec.name, spec.revision), *map(split_revision, spec.adapters)]
        return [self._hub.look_up(name, revision, search.cancel) for name, revision in named]


def _require_files(spec: ModelSpec) -> None:
    """Refuse a model on another machine: there is nothing of it to load, to plan or to look into here."""
    if spec.source.remote:
        raise NotAModel("error.remote_has_no_files", name=spec.name)


def _require_model(spec: ModelSpec) -> None:
    """Refuse what is no model on its own but is laid over one."""
    if find_task(spec.task).form == "adapter":
        raise WrongTask("error.adapter_alone", name=spec.name, task=spec.task)


def _adapter_in(place: Path) -> Path:
    """Return the adapter's file: the path itself, or the one in that folder."""
    return place if place.is_file() else place / choose_adapter_file(listed(place), place.name).name


def _with_digest(files: ModelFiles) -> ModelFiles:
    """Name a starter by its weights: the hash of its file or, where there are several, of their hashes."""
    hashes = [sha256_of(path) for path in files.weights]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return replace(files, revision=whole[:12])


def _with_adapter(base: ModelFiles, adapter: ModelFiles, name: str, base_label: str | None = None) -> ModelFiles:
    own_config = (adapter.folder / "config.json").exists()
    return replace(
        base,
        config_folder=adapter.folder if own_config else base.config_folder,
        adapters=(*base.adapters, adapter.folder),
        adapter_label=", ".join(filter(None, (base.adapter_label, f"{name}@{adapter.revision}"))),
        base_label=base_label or base.base_label,
        watched=(*base.watched, *adapter.watched),
    )


def folder_files(folder: Path) -> ModelFiles:
    """Accept a local folder with a configuration and safetensors; its revision is a digest (see `digest_of_folder`)."""
    if not folder.is_dir():
        raise NotAModel("error.no_such_folder", folder=str(folder))
    if not any((folder / name).exists() for name in (INDEX, "config.json", "adapter_config.json")):
        raise NotAModel("error.folder_without_config", folder=str(folder))
    if pipeline_in(folder) is None:
        require_weights(listed(folder))
    digest = digest_of_folder(folder)
    return ModelFiles(folder, folder, digest, watched=((folder, digest),))
