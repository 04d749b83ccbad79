"""From files to a model in memory: configuration, tokenizer, weights, and the adapters laid over them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core import attention as sliced_attention
from core.catalogue import ModelSpec, find_task
from core.errors import InvalidInput, NotAModel, WrongTask
from core.events import CancelToken
from core.model_files import Finder, ModelFiles, Preview, Report
from core.model_folder import read_config, starter_base_folder
from core.placement import ModelFacts, Placement
from core.provenance import Provenance
from core.safetensors_header import read_header
from core.words import say

__all__ = [
    "LoadedModel",
    "Loader",
    "ModelFiles",
    "ModelLoader",
    "Preview",
    "Report",
    "auto_class_name",
    "longest_input",
    "quiet_loading",
    "read_config",
    "starter_base_folder",
]

HEAD_ENDS = ("classifier.weight", "classifier.out_proj.weight", "score.weight", "qa_outputs.weight")
"""Tensors (labels, hidden) whose first dimension is the number of labels."""


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
        storages = [one.untyped_storage() for one in (*self.model.parameters(), *self.model.buffers())]
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
        started = time.perf_counter()
        with quiet_loading():
            config = _config(files)
            tokenizer = _tokenizer(spec, files)
            if config.pad_token_id is None:  # as GPT-2's: a batch of several texts needs one
                config.pad_token_id = tokenizer.pad_token_id
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


def _config(files: ModelFiles) -> Any:
    """Read the configuration; where only an adapter knows how many labels there are, take its number."""
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(files.config_folder, local_files_only=True)
    except Exception as problem:  # whatever a foreign config.json provokes
        raise NotAModel("error.config_unusable", reason=_first_line(problem)) from problem
    labels = _labels_of_adapters(files)
    if labels and labels != config.num_labels:
        config.num_labels = labels
    return config


def _labels_of_adapters(files: ModelFiles) -> int | None:
    """Return the rows of the head that an adapter without config.json brings."""
    header = _header_of_adapter(files.head_from) if files.head_from else {}
    return next((tensor["shape"][0] for name, tensor in header.items() if name.endswith(HEAD_ENDS)), None)


def _header_of_adapter(folder: Path) -> dict[str, Any]:
    return read_header(folder / "adapter_model.safetensors")


def _tokenizer(spec: ModelSpec, files: ModelFiles) -> Any:
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(files.folder, local_files_only=True)
    except Exception as problem:  # whatever foreign tokenizer files provoke
        raise NotAModel("error.tokenizer_unusable", name=spec.name, reason=_first_line(problem)) from problem
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # without files, transformers makes one that knows no word
        raise NotAModel("error.tokenizer_unusable", name=spec.name, reason="no vocabulary")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__


def auto_class_name(task: str, *, encoder_decoder: bool) -> str:
    """Return the transformers class that loads a model for `task`; a summariser may be an encoder-decoder."""
    if task == "summarization" and encoder_decoder:
        return "AutoModelForSeq2SeqLM"
    return find_task(task).auto_class


def longest_input(tokenizer: Any, config: Any) -> int:
    """Return the longest input in tokens: the tokenizer's word, bounded by the position table."""
    positions = getattr(config, "max_position_embeddings", None) or 512
    if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= 2  # these models keep the first two positions for padding
    return min(int(tokenizer.model_max_length), int(positions))


def _load_weights(spec: ModelSpec, files: ModelFiles, placement: Placement, config: Any) -> tuple[Any, tuple[str, ...]]:
    """Load the base, lay the adapters over it and merge them: plain layers answer faster than adapted ones."""
    options = {**_options(placement, config), "ignore_mismatched_sizes": bool(files.adapters)}
    (model, report), fallbacks = _with_known_attention(spec, files, options)
    _require_head(spec, files, model, report)
    for adapter in files.adapters:
        model = _lay_over(model, adapter, merge=placement.quantisation == "none")
    placed = placement.device_map or placement.quantisation != "none"
    return model if placed else model.to(placement.device), fallbacks


def _require_head(spec: ModelSpec, files: ModelFiles, model: Any, report: dict[str, Any]) -> None:
    """Raise WrongTask where neither the weights nor the adapters hold what the answers are made with.

    A pooler that the task does not use may be missing: checkpoints of masked language models have none.
    """
    parameters = {name for name, _ in model.named_parameters()}
    missing = parameters & {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    if not find_task(spec.task).heads:
        missing = {name for name in missing if "pooler" not in name}
    brought = [name for adapter in files.adapters for name in _header_of_adapter(adapter)]
    absent = sorted(name for name in missing if not any(one.endswith(f".{name}") for one in brought))
    if absent:
        raise WrongTask("error.head_missing", name=spec.name, task=spec.task, missing=", ".join(absent[:3]))


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
    try:
        return _from_pretrained(spec, files, options), ()
    except ValueError as problem:
        if "attention" not in str(problem).lower() or options["attn_implementation"] == "eager":
            raise
        if spec.wish.attention != "auto":
            raise InvalidInput("error.attention_unknown_to_model", attention=spec.wish.attention) from problem
    loaded = _from_pretrained(spec, files, {**options, "attn_implementation": "eager"})
    return loaded, (str(say("say.eager_instead", attention=options["attn_implementation"])),)


def _from_pretrained(spec: ModelSpec, files: ModelFiles, options: dict[str, Any]) -> Any:
    """Return the model and transformers' report; raises NotAModel for damaged weights, or those of another shape."""
    import torch
    import transformers
    from safetensors import SafetensorError

    halves = bool(getattr(options["config"], "is_encoder_decoder", False))
    auto_class = getattr(transformers, auto_class_name(spec.task, encoder_decoder=halves))
    try:
        return auto_class.from_pretrained(files.folder, **options)
    except (RuntimeError, SafetensorError) as problem:
        if isinstance(problem, torch.OutOfMemoryError):
            raise
        raise NotAModel("error.weights_unusable", name=spec.name, reason=_first_line(problem)) from problem


def _lay_over(model: Any, adapter: Path, *, merge: bool) -> Any:
    """Lay one adapter over the model, its saved head included; quantised weights cannot take it in, others do."""
    from peft import PeftModel

    try:
        with warnings.catch_warnings():  # peft asks transformers for what will be renamed; that is their affair
            warnings.simplefilter("ignore", FutureWarning)
            adapted = PeftModel.from_pretrained(model, str(adapter), low_cpu_mem_usage=False)
    except (RuntimeError, ValueError, KeyError, TypeError) as problem:
        raise NotAModel("error.adapter_unusable", adapter=adapter.name, reason=_first_line(problem)) from problem
    return adapted.merge_and_unload() if merge and hasattr(adapted, "merge_and_unload") else adapted


def _quantisation(wish: str) -> Any:
    from transformers import BitsAndBytesConfig

    return (
        BitsAndBytesConfig(load_in_8bit=True)
        if wish == "int8"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
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
