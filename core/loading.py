"""From a ModelSpec to a model in memory: find the files, read the facts, load, lay adapters over it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import attention as sliced_attention
from core.catalogue import (
    STARTER_BASE,
    Catalogue,
    ModelSpec,
    Source,
    find_task,
    starter_folder,
    starter_metrics,
)
from core.errors import DamagedDownload, InvalidInput, NotAModel, UnsafeWeights, WrongTask
from core.events import CancelToken, Progress
from core.placement import ModelFacts, Placement, facts_from_config
from core.provenance import Provenance
from core.safetensors_header import count_parameters
from core.words import say

if TYPE_CHECKING:
    from core.hub import Hub

Report = Callable[[Progress], None]
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's bytes lie on this machine, and which bytes they are."""

    folder: Path
    """Weights and tokenizer of the base."""
    config_folder: Path
    """config.json: the base's own, or the starter's with its labels."""
    revision: str
    adapters: tuple[Path, ...] = ()
    adapter_label: str | None = None
    base_label: str | None = None


@dataclass(frozen=True)
class Preview:
    """A model seen from outside: the planner's facts, the revision, and the bytes still to download."""

    facts: ModelFacts
    revision: str
    download_bytes: int


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer, with everything that its results must name."""

    spec: ModelSpec
    files: ModelFiles
    placement: Placement
    model: Any
    tokenizer: Any
    max_length: int
    """Longest input in tokens, special tokens included."""
    load_seconds: float
    fallbacks: tuple[str, ...] = ()

    def provenance(self, seconds: float, seed: int | None = None) -> Provenance:
        """Return what ran, read from the model itself."""
        return Provenance(
            model=self.spec.name,
            revision=self.files.revision,
            adapter=self.files.adapter_label,
            device=str(self.model.device),
            dtype=str(self.model.dtype).removeprefix("torch."),
            attention=self.attention,
            seed=seed,
            seconds=seconds,
            fallbacks=self.fallbacks,
        )

    @property
    def attention(self) -> str:
        """The attention implementation the model really runs."""
        return str(self.model.config._attn_implementation)  # noqa: SLF001 transformers offers no public reader

    @property
    def tensor_bytes(self) -> int:
        """Bytes that parameters and buffers hold, shared storage counted once."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


class Loader:
    """Knows how to bring every kind of source into memory."""

    def __init__(self, catalogue: Catalogue, hub: Hub) -> None:
        """Keep the catalogue (names inside adapters are resolved by it, too) and the Hub."""
        self._catalogue = catalogue
        self._hub = hub

    def locate(self, spec: ModelSpec, report: Report | None = None, cancel: CancelToken | None = None) -> ModelFiles:
        """Find the files of `spec`, downloading what is missing; raises HubError, NotAModel or UnsafeWeights."""
        if spec.source is Source.STARTER:
            return self._locate_starter(spec.name, report, cancel)
        if spec.source is Source.FOLDER:
            return self._follow_adapter(_folder_files(Path(spec.name)), spec.task, report, cancel)
        files = self._download(spec.name, spec.revision, report, cancel)
        files = self._follow_adapter(files, spec.task, report, cancel)
        for adapter in spec.adapters:
            files = _with_adapter(files, self._download(*_name_and_revision(adapter), report, cancel), adapter)
        return files

    def facts(self, spec: ModelSpec, files: ModelFiles) -> ModelFacts:
        """Return the planner's facts from config.json and the safetensors headers; loads no weights."""
        config = read_config(files.config_folder)
        weights = [*files.folder.glob("*.safetensors")]
        facts = facts_from_config(config, count_parameters(weights), sum(path.stat().st_size for path in weights))
        if spec.source is Source.STARTER:
            return replace(facts, bf16_agrees=starter_metrics(spec.name).get("bf16_agrees"))
        return facts

    def preview(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Preview:
        """Return what is known of a model before its weights are here; of a Hub model only small files are read."""
        if spec.source is Source.HUB:
            repository = self._hub.look_up(spec.name, spec.revision, cancel)
            known = self._hub.facts(repository, cancel)
            facts = facts_from_config(known.config, known.parameters, known.weight_bytes)
            return Preview(facts, repository.commit, repository.download_bytes)
        files = self.locate(spec, cancel=cancel)
        return Preview(self.facts(spec, files), files.revision, 0)

    def load(self, spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
        """Load `files` as `placement` says; raises WrongTask if the weights have no head for the task."""
        import transformers

        started = time.perf_counter()
        config = transformers.AutoConfig.from_pretrained(files.config_folder, local_files_only=True)
        check_task(config, spec)
        tokenizer = transformers.AutoTokenizer.from_pretrained(files.folder, local_files_only=True)
        model, fallbacks = _load_weights(spec, files, placement, config)
        return LoadedModel(
            spec=spec,
            files=files,
            placement=placement,
            model=model.eval(),
            tokenizer=tokenizer,
            max_length=longest_input(tokenizer, config),
            load_seconds=time.perf_counter() - started,
            fallbacks=fallbacks,
        )

    def _locate_starter(self, name: str, report: Report | None, cancel: CancelToken | None) -> ModelFiles:
        folder = starter_folder(name)
        base = starter_base_folder() or self._download(STARTER_BASE.hub_id, None, report, cancel).folder
        verify(base / "model.safetensors", STARTER_BASE.sha256)
        weights = folder / "adapter_model.safetensors"
        if not weights.exists():
            return ModelFiles(base, base, STARTER_BASE.sha256[:12])
        revision = _sha256(weights, weights.stat().st_mtime_ns)[:12]
        return ModelFiles(
            folder=base,
            config_folder=folder,
            revision=revision,
            adapters=(folder,),
            adapter_label=f"{name}@{revision}",
            base_label=STARTER_BASE.hub_id,
        )

    def _download(
        self, repo_id: str, revision: str | None, report: Report | None, cancel: CancelToken | None
    ) -> ModelFiles:
        repository = self._hub.look_up(repo_id, revision, cancel)
        folder = self._hub.download(repository, progress=report, cancel=cancel)
        return ModelFiles(folder, folder, repository.commit)

    def _follow_adapter(
        self, files: ModelFiles, task: str, report: Report | None, cancel: CancelToken | None
    ) -> ModelFiles:
        """Where the files are an adapter, put its base under it; the base passes the same rules as a typed name."""
        description = files.folder / "adapter_config.json"
        if not description.exists() or (files.folder / "model.safetensors").exists():
            return files
        base_name = str(json.loads(description.read_text(encoding="utf-8")).get("base_model_name_or_path") or "")
        if base_name == STARTER_BASE.hub_id and (bundled := starter_base_folder()):
            base = ModelFiles(bundled, bundled, STARTER_BASE.sha256[:12])
        else:
            base = self.locate(self._catalogue.resolve(base_name, task), report, cancel)
        return _with_adapter(base, files, files.folder.name, base_name)


def _with_adapter(base: ModelFiles, adapter: ModelFiles, label: str, base_label: str | None = None) -> ModelFiles:
    own_config = (adapter.folder / "config.json").exists()
    return replace(
        base,
        config_folder=adapter.folder if own_config else base.config_folder,
        revision=base.revision,
        adapters=(*base.adapters, adapter.folder),
        adapter_label=", ".join(filter(None, (base.adapter_label, f"{label}@{adapter.revision}"))),
        base_label=base_label or base.base_label,
    )


def _name_and_revision(name: str) -> tuple[str, str | None]:
    repo_id, _, revision = name.partition("@")
    return repo_id, revision or None


def starter_base_folder() -> Path | None:
    """Return where the Python package keeps the starters' base, or None if it is not installed."""
    try:
        folder = Path(str(distribution(STARTER_BASE.package).locate_file(STARTER_BASE.folder_in_package)))
    except PackageNotFoundError:
        return None
    return folder if folder.is_dir() else None


def verify(path: Path, sha256: str) -> None:
    """Raise DamagedDownload unless the file has this hash; each file version is read once per process."""
    found = _sha256(path, path.stat().st_mtime_ns)
    if found != sha256:
        raise DamagedDownload("error.wrong_hash", file=path.name, expected=sha256[:12], found=found[:12])


@cache
def _sha256(path: Path, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_files(folder: Path) -> ModelFiles:
    """Accept a local folder with config.json and safetensors; its revision is a digest of names, sizes and times."""
    if not (folder / "config.json").exists() and not (folder / "adapter_config.json").exists():
        raise NotAModel("error.folder_without_config", folder=str(folder))
    check_weights(path.name for path in folder.iterdir())
    stamp = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
    return ModelFiles(folder, folder, "folder-" + hashlib.sha256(repr(stamp).encode()).hexdigest()[:12])


def check_weights(names: Iterable[str]) -> None:
    """Raise UnsafeWeights if only pickles are there, NotAModel if there are no weights at all."""
    found = list(names)
    if any(name.endswith(".safetensors") for name in found):
        return
    pickles = [name for name in found if name.endswith(PICKLES)]
    if pickles:
        raise UnsafeWeights("error.only_pickles", files=", ".join(sorted(pickles)))
    raise NotAModel("error.no_weights")


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json; raises NotAModel if it is missing or no JSON object."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise NotAModel("error.config_unreadable", reason=type(problem).__name__) from problem
    if not isinstance(config, dict):
        raise NotAModel("error.config_unreadable", reason="not an object")
    return config


def check_task(config: Any, spec: ModelSpec) -> None:
    """Raise UnsafeWeights for a model with code of its own, WrongTask for one without a head for the task."""
    if getattr(config, "auto_map", None):
        raise UnsafeWeights("error.remote_code", name=spec.name)
    heads = find_task(spec.task).heads
    architectures = tuple(config.architectures or ())
    if heads and not any(name.endswith(heads) for name in architectures):
        raise WrongTask(
            "error.wrong_task", name=spec.name, task=spec.task, made_for=", ".join(architectures) or "nothing it names"
        )


def auto_class_name(task: str, config: Any) -> str:
    """Return the transformers class that loads this model for `task`; a summariser may be an encoder-decoder."""
    if task == "summarization" and getattr(config, "is_encoder_decoder", False):
        return "AutoModelForSeq2SeqLM"
    return find_task(task).auto_class


def longest_input(tokenizer: Any, config: Any) -> int:
    """Return the longest input in tokens: the tokenizer's word, bounded by the position table."""
    positions = getattr(config, "max_position_embeddings", None) or 512
    if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= 2  # these models keep the first two positions for padding
    return min(int(tokenizer.model_max_length), int(positions))


def _load_weights(
    spec: ModelSpec, files: ModelFiles, placement: Placement, config: Any
) -> tuple[Any, tuple[str, ...]]:
    """Load the base, lay the adapters over it and merge them: plain layers answer faster than adapted ones."""
    with quiet_loading():
        (model, report), fallbacks = _with_known_attention(spec, files, _options(placement, config))
        for adapter in files.adapters:
            model = _lay_over(model, adapter, merge=placement.quantisation == "none")
    if report["missing_keys"] and not files.adapters and find_task(spec.task).heads:
        raise WrongTask(
            "error.head_missing", name=spec.name, task=spec.task, missing=", ".join(sorted(report["missing_keys"])[:3])
        )
    placed = placement.device_map or placement.quantisation != "none"
    return model if placed else model.to(placement.device), fallbacks


def _options(placement: Placement, config: Any) -> dict[str, Any]:
    import torch

    options: dict[str, Any] = {
        "config": config,
        "dtype": getattr(torch, placement.dtype),
        "attn_implementation": sliced_attention.register() if placement.attention == "sliced" else placement.attention,
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
    }
    if placement.device_map:
        options["device_map"] = placement.device_map
    if placement.quantisation != "none":
        options["quantization_config"] = _quantisation(placement.quantisation)
        options["device_map"] = placement.device_map or {"": placement.device}
    return options


def _with_known_attention(spec: ModelSpec, files: ModelFiles, options: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Load; if this class knows no such attention, take eager and say so, or refuse what the user forced."""
    import transformers

    auto_class = getattr(transformers, auto_class_name(spec.task, options["config"]))
    try:
        return auto_class.from_pretrained(files.folder, **options), ()
    except ValueError as problem:
        if "attention" not in str(problem).lower() or options["attn_implementation"] == "eager":
            raise
        if spec.wish.attention != "auto":
            raise InvalidInput("error.attention_unknown_to_model", attention=spec.wish.attention) from problem
    loaded = auto_class.from_pretrained(files.folder, **{**options, "attn_implementation": "eager"})
    return loaded, (str(say("say.eager_instead", attention=options["attn_implementation"])),)


def _lay_over(model: Any, adapter: Path, *, merge: bool) -> Any:
    """Lay one adapter over the model, its saved head included; quantised weights cannot take it in, others do."""
    from peft import PeftModel

    adapted = PeftModel.from_pretrained(model, str(adapter), low_cpu_mem_usage=False)
    return adapted.merge_and_unload() if merge else adapted


def _quantisation(wish: str) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True) if wish == "int8" else BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4"
    )


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers' loading table and progress bar out of the log; our own report replaces them."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
