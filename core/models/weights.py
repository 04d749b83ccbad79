"""Weights in memory: the class that a task needs, its checkpoint, and the adapters laid over it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.catalogue import ModelSpec, find_task
from core.errors import InvalidInput, NotAModel, WrongTask
from core.hub.safetensors_header import read_header
from core.machine.memory import ran_out
from core.models import attention as sliced_attention
from core.models.files import ModelFiles
from core.models.folder import head_of_adapter
from core.placement.planner import Placement
from core.words import say

HEAD_ENDS = ("classifier.weight", "classifier.out_proj.weight", "score.weight", "qa_outputs.weight")
"""Tensors (labels, hidden) whose first dimension is the number of labels."""


def auto_class_name(task: str, *, encoder_decoder: bool) -> str:
    """Return the transformers class that loads a model for `task`; a summariser may be an encoder-decoder."""
    if task == "summarization" and encoder_decoder:
        return "AutoModelForSeq2SeqLM"
    return find_task(task).auto_class


def first_line(problem: Exception) -> str:
    """Return an error's type and the first line of its text: enough for a person to look it up."""
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__


def header_of_adapter(folder: Path) -> dict[str, Any]:
    """Return the names, shapes and dtypes of an adapter's tensors."""
    return read_header(folder / "adapter_model.safetensors")


def labels_of_adapter(folder: Path) -> int | None:
    """Return the rows of the head that an adapter brings, or None if it brings none."""
    found = header_of_adapter(folder).items()
    return next((tensor["shape"][0] for name, tensor in found if name.endswith(HEAD_ENDS)), None)


def load_weights(
    spec: ModelSpec, files: ModelFiles, placement: Placement, config: Any, *, merge_last: bool = True
) -> tuple[Any, tuple[str, ...]]:
    """Load the base, lay the adapters over it and merge them: plain layers answer faster than adapted ones.

    `merge_last`: the last one, too, which else stays beside the layers it changes.

    Where the task asks for an encoder alone and an adapter brings a head, adapter and head are laid over the class
    they were made for, and its encoder is returned. Raises NotAModel, WrongTask, or what says that memory ran out.
    """
    options = {**_options(placement, config), "ignore_mismatched_sizes": bool(files.adapters)}
    halves = bool(getattr(config, "is_encoder_decoder", False))
    auto_class = auto_class_name(spec.task, encoder_decoder=halves)
    head = head_of_adapters(files.adapters) if auto_class == "AutoModel" else None
    with in_words(spec):
        (model, report), fallbacks = _with_known_attention(
            spec, f"AutoModel{head}" if head else auto_class, files.folder, options
        )
    _require_head(spec, files, model, report)
    for adapter in files.adapters:
        last = adapter is files.adapters[-1]
        merge = placement.quantisation == "none" and (merge_last or not last)
        model = lay_over(model, adapter, merge=merge, head_may_differ=not last)
    model = _encoder_of(model) if head else model
    placed = placement.device_map or placement.quantisation != "none"
    return model if placed else model.to(placement.device), fallbacks


def head_of_adapters(adapters: Sequence[Path]) -> str | None:
    """Return the end of the class that the last adapter with a head was made for, such as "ForTokenClassification"."""
    return next(filter(None, map(head_of_adapter, reversed(adapters))), None)


def _encoder_of(model: Any) -> Any:
    """Take the encoder from under a head, whose adapters (if quantised weights could not take them in) stay in it."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    return whole.base_model


def _require_head(spec: ModelSpec, files: ModelFiles, model: Any, report: dict[str, Any]) -> None:
    """Raise WrongTask where neither the weights nor the adapters hold what the answers are made with.

    A pooler that the task does not use may be missing: checkpoints of masked language models have none. So may a bias,
    which then adds nothing: the starters' base has none for the words of a masked language model.
    """
    needed = {name for name, one in model.named_parameters() if not name.endswith("bias") or one.is_meta or one.any()}
    missing = needed & {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    if not find_task(spec.task).heads:
        missing = {name for name in missing if "pooler" not in name}
    brought = [name for adapter in files.adapters for name in header_of_adapter(adapter)]
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


@contextmanager
def in_words(spec: ModelSpec, library: str = "transformers") -> Iterator[None]:
    """Turn what from_pretrained raises for foreign files into NotAModel; memory that ran out is no fault of theirs."""
    from safetensors import SafetensorError

    try:
        yield
    except (RuntimeError, SafetensorError) as problem:
        if ran_out(problem):
            raise
        raise NotAModel("error.weights_unusable", name=spec.name, reason=first_line(problem)) from problem
    except (ValueError, OSError, LookupError, TypeError, AttributeError, ImportError) as problem:
        if ran_out(problem):
            raise
        key = "error.pipeline_unusable" if library == "diffusers" else "error.class_unusable"
        raise NotAModel(key, name=spec.name, task=spec.task, reason=first_line(problem)) from problem


def _with_known_attention(
    spec: ModelSpec, auto_class: str, folder: Path, options: dict[str, Any]
) -> tuple[Any, tuple[str, ...]]:
    """Load; if this class knows no such attention, take eager and say so, or refuse what the user forced."""
    import transformers

    load = getattr(transformers, auto_class).from_pretrained
    try:
        return load(folder, **options), ()
    except ValueError as problem:
        if "attention" not in str(problem).lower() or options["attn_implementation"] == "eager":
            raise
        if spec.wish.attention != "auto":
            raise InvalidInput("error.attention_unknown_to_model", attention=spec.wish.attention) from problem
    loaded = load(folder, **{**options, "attn_implementation": "eager"})
    return loaded, (str(say("say.eager_instead", attention=options["attn_implementation"])),)


def lay_over(model: Any, adapter: Path, *, merge: bool, head_may_differ: bool = False) -> Any:
    """Lay one adapter over the model, its saved head included; quantised weights cannot take it in, others do.

    `head_may_differ`: another adapter follows, with a head of its own in the place of this one's.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Some weights of PeftModel")
            adapted = PeftModel.from_pretrained(
                model, str(adapter), low_cpu_mem_usage=False, ignore_mismatched_sizes=head_may_differ
            )
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, ImportError, SafetensorError) as problem:
        if ran_out(problem):
            raise
        raise NotAModel("error.adapter_unusable", adapter=adapter.name, reason=first_line(problem)) from problem
    return adapted.merge_and_unload() if merge and hasattr(adapted, "merge_and_unload") else adapted


def _quantisation(wish: str) -> Any:
    from transformers import BitsAndBytesConfig

    return (
        BitsAndBytesConfig(load_in_8bit=True)
        if wish == "int8"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    )
