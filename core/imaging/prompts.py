"""What the model is told: how much of a prompt its tokenizers read, and embeddings that are computed once."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from core.words import Sentence, say

TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
"""The components that read the prompt, by the names that diffusers gives them."""
LONGEST_QUOTE = 200
"""Characters of what was cut that are shown."""
MOST_KEPT = 32
"""Embeddings that are kept a model; of Stable Diffusion 1.5 each takes half a megabyte."""

_TWO = ("prompt_embeds", "negative_prompt_embeds")
_POOLED = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")
EMBEDDINGS = (
    ("StableDiffusionXL", (*_TWO, *_POOLED)),
    ("StableDiffusion3", (*_TWO, *_POOLED)),
    ("StableDiffusion", _TWO),
    ("Flux", ("prompt_embeds", "pooled_prompt_embeds", "")),
)
"""How the names of a family's pipelines begin, and what their encode_prompt returns, by the names that a call takes."""


@dataclass(frozen=True)
class Prompt:
    """What is drawn and what is not, whether there is guidance, and whatever else changes what the encoders answer."""

    text: str
    negative: str
    guided: bool
    laid_over: Hashable = ()
    """Adapters and inversions."""


def prompt_notes(pipeline: Any, prompt: Prompt) -> tuple[Sentence, ...]:
    """Say what of the two prompts no text encoder reads, and whether the negative one has no effect."""
    notes = [*_cut(pipeline, prompt.text, "prompt")]
    if not prompt.negative.strip():
        return tuple(notes)
    if "negative_prompt" not in inspect.signature(pipeline.__call__).parameters or _is_distilled(pipeline):
        return (*notes, say("say.negative_unknown"))
    if not prompt.guided:
        return (*notes, say("say.negative_without_guidance"))
    return (*notes, *_cut(pipeline, prompt.negative, "negative_prompt"))


def told(pipeline: Any, prompt: Prompt, images: int, kept: dict[str, Any]) -> dict[str, Any]:
    """Return the prompt as a call of `pipeline` takes it for so many images: embeddings, a row each, else texts.

    `kept`: where embeddings that are known already are found, and new ones put.
    """
    names = _embedding_names(pipeline)
    if names is None:
        negative = prompt.negative or (" " if _counts_itself(pipeline) else None)
        return {"prompt": prompt.text, "negative_prompt": negative, "num_images_per_prompt": images}
    rows = _embeddings(pipeline, prompt, names, kept)
    return {name: one.repeat(images, *(1,) * (one.ndim - 1)) for name, one in rows.items()}


def _embeddings(pipeline: Any, prompt: Prompt, names: tuple[str, ...], kept: dict[str, Any]) -> dict[str, Any]:
    """Return one row of each embedding."""
    known: OrderedDict[Hashable, dict[str, Any]] = kept.setdefault("prompts", OrderedDict())
    key = (names, prompt)
    if key not in known:
        known[key] = _encode(pipeline, prompt, names)
        while len(known) > MOST_KEPT:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def _encode(pipeline: Any, prompt: Prompt, names: tuple[str, ...]) -> dict[str, Any]:
    asked = {
        "prompt": prompt.text,
        "prompt_2": None,
        "prompt_3": None,
        "negative_prompt": prompt.negative or None,
        "device": pipeline._execution_device,  # noqa: SLF001 under offload there is no other way to know
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": prompt.guided,
    }
    takes = inspect.signature(pipeline.encode_prompt).parameters
    values = pipeline.encode_prompt(**{name: value for name, value in asked.items() if name in takes})
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if name and value is not None}


def _embedding_names(pipeline: Any) -> tuple[str, ...] | None:
    """Return the names of what encode_prompt returns, or None for a family whose order is not known here."""
    family = type(pipeline).__name__
    names = next((names for start, names in EMBEDDINGS if family.startswith(start)), None)
    takes = inspect.signature(pipeline.__call__).parameters
    return names if names and set(filter(None, names)) <= set(takes) else None


def _is_distilled(pipeline: Any) -> bool:
    """Tell whether guidance is a number that the model is told, as Flux is: then no pass is for a negative prompt."""
    return type(pipeline).__name__.startswith("Flux")


def _counts_itself(pipeline: Any) -> bool:
    """Tell whether a pipeline guides only where a negative prompt is given, as Qwen-Image's does."""
    return "true_cfg_scale" in inspect.signature(pipeline.__call__).parameters and not _is_distilled(pipeline)


def guidance_arguments(pipeline: Any, scale: float) -> dict[str, float]:
    """Return guidance by the name that this family of pipelines has for it."""
    return {"true_cfg_scale" if _counts_itself(pipeline) else "guidance_scale": scale}


def _cut(pipeline: Any, text: str, name: str) -> Iterator[Sentence]:
    """Yield the sentence that quotes what even the longest-reading encoder does not see."""
    readers = [(one, _limit(pipeline, one)) for one in _tokenizers(pipeline)]
    if not readers or not text:
        return
    tokenizer, limit = max(readers, key=lambda reader: reader[1])
    converted = pipeline.maybe_convert_prompt(text, tokenizer) if hasattr(pipeline, "maybe_convert_prompt") else text
    ids = tokenizer(converted, verbose=False)["input_ids"]
    if len(ids) <= limit:
        return
    special = len(ids) - len(tokenizer(converted, add_special_tokens=False, verbose=False)["input_ids"])
    end = len(ids) - (1 if special else 0)
    lost = str(tokenizer.decode(ids[limit - (1 if special else 0) : end], skip_special_tokens=True)).strip()
    quote = lost if len(lost) <= LONGEST_QUOTE else f"{lost[:LONGEST_QUOTE]}…"
    yield say("say.prompt_tokens_cut", name=name, length=len(ids), read=limit, cut=quote)


def _tokenizers(pipeline: Any) -> list[Any]:
    found = (getattr(pipeline, name, None) for name in TOKENIZERS)
    return [one for one in found if one is not None]


def _limit(pipeline: Any, tokenizer: Any) -> int:
    """Return the tokens that are read: T5's and others' are set by the pipeline, CLIP's by the tokenizer."""
    own = int(tokenizer.model_max_length)
    encode = getattr(pipeline, "encode_prompt", None)
    asked = inspect.signature(encode).parameters.get("max_sequence_length") if encode else None
    if "CLIP" in type(tokenizer).__name__ or asked is None or not isinstance(asked.default, int):
        return own
    return int(asked.default)
