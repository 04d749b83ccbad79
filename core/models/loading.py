"""From files to a model in memory: configuration, tokenizer, weights, and the adapters laid over them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.catalogue import ModelSpec, find_task
from core.errors import NotAModel
from core.events import CancelToken
from core.models.files import Finder, ModelFiles, Preview, Report
from core.models.folder import DIFFUSERS_FORMS, read_config, starter_base_folder
from core.models.pipelines import attention_of, load_network, load_pipeline, networks_of
from core.models.weights import auto_class_name, first_line, labels_of_adapter, load_weights
from core.placement.planner import ModelFacts, Placement
from core.provenance import MIXED, Provenance
from core.quiet import quieten

__all__ = [
    "LoadedModel",
    "Loader",
    "ModelFiles",
    "ModelLoader",
    "Preview",
    "Report",
    "auto_class_name",
    "config_of",
    "longest_input",
    "read_config",
    "starter_base_folder",
]


USUAL_POSITIONS = 512
"""Longest input in tokens of a model whose configuration does not tell."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer, with everything that its results must name."""

    spec: ModelSpec
    files: ModelFiles
    placement: Placement
    model: Any
    tokenizer: Any
    """What prepares the input: a tokenizer (of a pipeline, the first), or an image processor; None for a ControlNet."""
    max_length: int
    """Longest input in tokens, special tokens included; 0 where no text is read."""
    load_seconds: float
    fallbacks: tuple[str, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """Held by whoever changes the model for a while, as when an adapter is laid over it."""
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was computed once from the model, such as the map of a preview: it goes when the model goes."""

    def provenance(self, seconds: float, seed: int | None = None, *, mixed: bool = False) -> Provenance:
        """Return what ran, read from the model itself; `mixed` = under autocast, as Lane.mixes tells."""
        return Provenance(
            model=self.spec.name,
            revision=self.files.revision,
            adapter=self.files.adapter_label,
            device=self.device,
            dtype=MIXED if mixed else str(self.model.dtype).removeprefix("torch."),
            attention=self.attention,
            seed=seed,
            seconds=seconds,
            fallbacks=self.fallbacks,
            lineage=self.files.lineage,
            places=self.files.places,
        )

    @property
    def device(self) -> str:
        """Where it computes; under offload its weights lie in main memory meanwhile."""
        return str(self.model.device) if self.placement.offload == "none" else self.placement.device

    @property
    def attention(self) -> str:
        """The attention implementation the model really runs."""
        if find_task(self.spec.task).form in DIFFUSERS_FORMS:
            return attention_of(self.model)
        return str(self.model.config._attn_implementation)  # noqa: SLF001 transformers offers no public reader

    @property
    def holders(self) -> tuple[Any, ...]:
        """The objects that hold the bytes, of a pipeline its networks: once all are gone, the memory is."""
        return tuple(networks_of(self.model).values())

    @property
    def tensor_bytes(self) -> int:
        """Bytes that parameters and buffers hold, shared storage counted once."""
        networks = networks_of(self.model).values()
        tensors = [tensor for one in networks for tensor in (*one.parameters(), *one.buffers())]
        storages = [tensor.untyped_storage() for tensor in tensors]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


class ModelLoader(Protocol):
    """What the registry needs; `Loader` is the real one, tests bring scripted ones."""

    def locate(self, spec: ModelSpec, report: Report | None = None, cancel: CancelToken | None = None) -> ModelFiles:
        """Find the files."""

    def facts(self, spec: ModelSpec, files: ModelFiles) -> ModelFacts:
        """Read what the planner must know."""

    def preview(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Preview:
        """Look at it from outside."""

    def load(self, spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
        """Bring it into memory."""


class Loader(Finder):
    """Finds files and brings them into memory."""

    def load(self, spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
        """Load `files` as `placement` says; raises NotAModel, or WrongTask if there is no head for the task."""
        form = find_task(spec.task).form
        if form in DIFFUSERS_FORMS:
            return _load_with_diffusers(spec, files, placement)
        started = time.perf_counter()
        quieten("transformers")
        config = config_of(files)
        sees = form == "vision-model"
        tokenizer = _image_processor(spec, files) if sees else _tokenizer(spec, files)
        if not sees and config.pad_token_id is None:  # as GPT-2's: a batch of several texts needs one
            config.pad_token_id = tokenizer.pad_token_id
        model, fallbacks = load_weights(spec, files, placement, config)
        return LoadedModel(
            spec=spec,
            files=files,
            placement=placement,
            model=model.eval(),
            tokenizer=tokenizer,
            max_length=0 if sees else longest_input(tokenizer, config),
            load_seconds=time.perf_counter() - started,
            fallbacks=fallbacks,
        )


def _load_with_diffusers(spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
    """Load a pipeline, whose first tokenizer is the one that counts a prompt, or a ControlNet, which has none."""
    started = time.perf_counter()
    quieten("transformers")
    load = load_pipeline if find_task(spec.task).form == "pipeline" else load_network
    model, fallbacks = load(spec, files, placement)
    tokenizer = getattr(model, "tokenizer", None)
    return LoadedModel(
        spec=spec,
        files=files,
        placement=placement,
        model=model,
        tokenizer=tokenizer,
        max_length=int(tokenizer.model_max_length) if tokenizer else 0,
        load_seconds=time.perf_counter() - started,
        fallbacks=fallbacks,
    )


def config_of(files: ModelFiles) -> Any:
    """Return the configuration that a model loads with; where only an adapter knows its number of labels, that one."""
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(files.config_folder, local_files_only=True)
    except Exception as problem:  # whatever a foreign config.json provokes
        raise NotAModel("error.config_unusable", reason=first_line(problem)) from problem
    labels = labels_of_adapter(files.head_from) if files.head_from else None
    if labels and labels != config.num_labels:
        config.num_labels = labels
    return config


def _tokenizer(spec: ModelSpec, files: ModelFiles) -> Any:
    import transformers

    try:
        folder = files.tokenizer_folder or files.folder
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as problem:  # whatever foreign tokenizer files provoke
        raise NotAModel("error.tokenizer_unusable", name=spec.name, reason=first_line(problem)) from problem
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # without files, transformers makes one that knows no word
        raise NotAModel("error.tokenizer_unusable", name=spec.name, reason="no vocabulary")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _image_processor(spec: ModelSpec, files: ModelFiles) -> Any:
    """Read how a model wants its pictures; PIL and NumPy do it, torchvision is not needed."""
    import transformers

    try:
        return transformers.AutoImageProcessor.from_pretrained(files.folder, local_files_only=True, backend="pil")
    except Exception as problem:  # whatever foreign files provoke
        raise NotAModel("error.image_processor_unusable", name=spec.name, reason=first_line(problem)) from problem


def longest_input(tokenizer: Any, config: Any) -> int:
    """Return the longest input in tokens: the tokenizer's word, bounded by the position table."""
    positions = getattr(config, "max_position_embeddings", None) or USUAL_POSITIONS
    if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= 2  # these models keep the first two positions for padding
    return min(int(tokenizer.model_max_length), int(positions))
