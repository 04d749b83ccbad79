"""LoRA adapters and textual inversions: laid over a model for one drawing, and gone when it ends, however it ends."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import NotAModel
from core.imaging.options import DrawingOptions, NamedInversion, WeightedAdapter
from core.imaging.pictures import Watch
from core.imaging.prompts import TOKENIZERS
from core.machine.memory import ran_out
from core.models.registry import Registry
from core.models.weights import first_line

ENCODERS = tuple(name.replace("tokenizer", "text_encoder") for name in TOKENIZERS)
SDXL_KEYS = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
"""How files for Stable Diffusion XL name the vectors of its two text encoders."""
WEBUI_KEY = "emb_params"
"""How AUTOMATIC1111's files name their vectors; the word is the file's name."""


@dataclass(frozen=True)
class Fetched:
    """One file that is laid over the model, and the label that a result names it by."""

    file: Path
    label: str
    weight: float = 1.0
    token: str = ""


@dataclass(frozen=True)
class Overlay:
    """Everything that is laid over a model for one drawing, in order."""

    loras: tuple[Fetched, ...] = ()
    inversions: tuple[Fetched, ...] = ()

    @property
    def label(self) -> str | None:
        """What the provenance names: starter/emoji-lora@1f00ba12:0.8, …; None without anything."""
        return ", ".join(one.label for one in (*self.loras, *self.inversions)) or None


def fetch_overlay(settings: DrawingOptions, registry: Registry, watch: Watch) -> Overlay:
    """Bring here what the settings name; loads nothing."""
    loras = tuple(_fetch_lora(one, registry, watch) for one in settings.adapters())
    return Overlay(loras, tuple(_fetch_inversion(one, registry, watch) for one in settings.inversions()))


@contextmanager
def laid_over(pipeline: Any, overlay: Overlay) -> Iterator[None]:
    """Lay adapters and inversions over the pipeline until the block ends; its components are then as they were.

    Whoever calls this holds the model's lock: the components are shared. Raises NotAModel for files made for another
    model.
    """
    with _with_inversions(pipeline, overlay.inversions), _with_loras(pipeline, overlay.loras):
        yield


def _fetch_lora(adapter: WeightedAdapter, registry: Registry, watch: Watch) -> Fetched:
    files = registry.fetch(registry.resolve(adapter.name, "lora"), watch.report, watch.cancel)
    return Fetched(files.weights[0], f"{adapter.name}@{files.revision}:{adapter.weight:g}", adapter.weight)


def _fetch_inversion(inversion: NamedInversion, registry: Registry, watch: Watch) -> Fetched:
    files = registry.fetch(registry.resolve(inversion.name, "textual-inversion"), watch.report, watch.cancel)
    label = f"{inversion.name}@{files.revision}" + (f":{inversion.token}" if inversion.token else "")
    return Fetched(files.weights[0], label, token=inversion.token)


@contextmanager
def _with_loras(pipeline: Any, loras: Sequence[Fetched]) -> Iterator[None]:
    if not loras:
        yield
        return
    if not hasattr(pipeline, "load_lora_weights"):
        raise NotAModel("error.lora_unknown", model=type(pipeline).__name__)
    try:
        names = [_load_lora(pipeline, place, lora) for place, lora in enumerate(loras)]
        pipeline.set_adapters(names, [lora.weight for lora in loras])
        yield
    finally:
        pipeline.unload_lora_weights()


def _load_lora(pipeline: Any, place: int, lora: Fetched) -> str:
    name = f"adapter_{place}"
    with _unfit(lora), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several adapters are meant
        pipeline.load_lora_weights(
            str(lora.file.parent),
            weight_name=lora.file.name,
            adapter_name=name,
            local_files_only=True,
            use_safetensors=True,
        )
        if not any(name in names for names in pipeline.get_list_adapters().values()):
            raise ValueError("no layer of this model is named in it")
    return name


@contextmanager
def _unfit(one: Fetched) -> Iterator[None]:
    """Turn what the libraries raise for a file made for another model into a sentence."""
    try:
        yield
    except (ValueError, RuntimeError, KeyError, OSError, AttributeError, TypeError, IndexError) as problem:
        if ran_out(problem):
            raise
        raise NotAModel("error.adapter_unfit", name=one.label, reason=first_line(problem)) from problem


@contextmanager
def _with_inversions(pipeline: Any, inversions: Sequence[Fetched]) -> Iterator[None]:
    """Teach copies of the tokenizers the new words, and give the encoders their own tables of words back at the end."""
    if not inversions:
        yield
        return
    encoders = [getattr(pipeline, name, None) for name in ENCODERS]
    tables = [(one, one.get_input_embeddings(), one.config.vocab_size) for one in encoders if one is not None]
    for name in TOKENIZERS:
        if getattr(pipeline, name, None) is not None:
            setattr(pipeline, name, copy.deepcopy(getattr(pipeline, name)))
    try:
        for encoder, table, _ in tables:
            encoder.set_input_embeddings(copy.deepcopy(table))
        for one in inversions:
            _load_inversion(pipeline, one)
        yield
    finally:
        for encoder, table, size in tables:
            encoder.set_input_embeddings(table)
            encoder.config.vocab_size = size


def _load_inversion(pipeline: Any, one: Fetched) -> None:
    from safetensors.torch import load_file

    with _unfit(one):
        if not hasattr(pipeline, "load_textual_inversion"):
            raise NotAModel("error.inversion_unknown", model=type(pipeline).__name__)
        vectors = load_file(one.file)
        word = one.token or next(iter(vectors))
        if set(vectors) <= set(SDXL_KEYS):
            for key, vector in vectors.items():
                _teach(pipeline, SDXL_KEYS[key], vector, one.token or one.file.stem)
        elif set(vectors) == {WEBUI_KEY}:
            _teach(pipeline, ENCODERS[0], vectors[WEBUI_KEY], one.token or one.file.stem)
        else:
            _teach(pipeline, ENCODERS[0], vectors[next(iter(vectors))], word)


def _teach(pipeline: Any, encoder: str, vector: Any, word: str) -> None:
    tokenizer = getattr(pipeline, encoder.replace("text_encoder", "tokenizer"))
    pipeline.load_textual_inversion(vector, token=word, tokenizer=tokenizer, text_encoder=getattr(pipeline, encoder))
