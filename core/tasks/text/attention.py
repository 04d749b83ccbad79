"""Which token looks at which: the attention weights that an encoder really computes for a text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core import fields
from core.errors import InvalidInput, WrongTask
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import BYTES_A_TOKEN, INTERACTIVE, Lane, borrow, tokenize, with_notes
from core.tasks.text.options import ModelOptions
from core.tasks.text.pooling import as_encoder
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

TASK = "attention"
MOST_TOKENS = 128
"""A larger table is no longer readable, and no longer small to send."""


@dataclass(frozen=True, kw_only=True)
class AttentionSettings(ModelOptions):
    """A text, or a pair of texts, and the layer and head to look at."""

    text: str = fields.text(limit=LIMITS.text_characters)
    text_pair: str = fields.text(limit=LIMITS.text_characters, optional=True)
    layer: int = fields.number(0, low=0, high=1_000)
    """1 = the first; 0 = the mean of all."""
    head: int = fields.number(0, low=0, high=1_000)
    """1 = the first; 0 = the mean of all."""
    attention: str = fields.choice("auto", ("auto", "eager"))
    """Only eager attention has weights to show: SDPA, flash and sliced attention never hold them all."""


@dataclass(frozen=True)
class AttentionMap:
    """weights[i][j] = how much of token i's new value comes from token j; each row sums to 1."""

    tokens: tuple[str, ...]
    """As written in the text; special tokens by their name."""
    weights: list[list[float]]
    layer: int
    head: int
    layers: int
    """How many the model has."""
    heads: int
    special: frozenset[int]
    """Places of the tokens that the tokenizer has added to the text, such as [CLS] and [SEP]."""
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> dict[str, Any]:
        """The same as JSON: {tokens, weights, layer, head, layers, heads}."""
        return {
            "tokens": list(self.tokens),
            "weights": self.weights,
            "layer": self.layer,
            "head": self.head,
            "layers": self.layers,
            "heads": self.heads,
        }

    @property
    def special_share(self) -> float:
        """How much of their attention the text's own tokens give to the special ones, 0 … 1 (0 without any)."""
        rows = [weights for place, weights in enumerate(self.weights) if place not in self.special]
        return sum(weights[place] for weights in rows for place in self.special) / max(len(rows), 1)


@dataclass(frozen=True)
class _Pieces:
    """What the model reads and what a person reads; `length` counts tokens before anything was cut."""

    inputs: dict[str, list[int]]
    tokens: tuple[str, ...]
    special: frozenset[int]
    length: int


def map_attention(settings: AttentionSettings, registry: Registry, lane: Lane = INTERACTIVE) -> AttentionMap:
    """Run the model once and return its attention weights; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    spec = replace(settings, attention="eager").spec(registry, TASK)
    shown = (settings.text + settings.text_pair)[: MOST_TOKENS * BYTES_A_TOKEN]
    with borrow(registry, spec, [shown], lane) as model:
        encoder = as_encoder(model)
        texts = tuple(filter(None, (settings.text, settings.text_pair.strip() and settings.text_pair)))
        pieces = _tokens(encoder, texts)
        weights = _weights(registry, encoder, pieces, lane)
        chosen = _choose(weights, settings.layer, settings.head)
        notes = tuple(_notes(pieces, weights, halved=encoder.model is not model.model))
        provenance = model.provenance(time.perf_counter() - started)
    return AttentionMap(
        tokens=pieces.tokens,
        weights=chosen.tolist(),
        layer=settings.layer,
        head=settings.head,
        layers=weights.shape[0],
        heads=weights.shape[1],
        special=pieces.special,
        provenance=with_notes(provenance, notes),
        notes=notes,
    )


def _notes(pieces: _Pieces, weights: torch.Tensor, *, halved: bool) -> list[Sentence]:
    notes = []
    if pieces.length > len(pieces.tokens):
        notes.append(say("say.attention_cut", shown=len(pieces.tokens), length=pieces.length))
    if halved:
        notes.append(say("say.attention_of_encoder"))
    if len(pieces.tokens) > 1 and not weights.triu(1).any():
        notes.append(say("say.attention_causal"))
    return notes


def _tokens(encoder: LoadedModel, texts: Sequence[str]) -> _Pieces:
    """Tokenise a text or a pair to at most MOST_TOKENS, and find for each token what it stands for in the text."""
    columns = [[text] for text in texts]
    length = len(tokenize(encoder, *columns, truncation=False)["input_ids"][0])
    limit = min(MOST_TOKENS, encoder.max_length)
    encoded = tokenize(encoder, *columns, truncation="longest_first", max_length=limit)
    inputs = {name: list(encoded[name][0]) for name in ("input_ids", "token_type_ids") if name in encoded}
    if not inputs["input_ids"]:
        raise InvalidInput("error.no_tokens")
    return _Pieces(inputs, _readable(encoder.tokenizer, encoded, texts), _special(encoder.tokenizer, encoded), length)


def _special(tokenizer: Any, encoded: Any) -> frozenset[int]:
    """Return the places of the tokens that stand for nothing in the text; an unknown word stands for itself."""
    if tokenizer.is_fast:
        added = [which is None for which in encoded.encodings[0].sequence_ids]
    else:
        special = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
        added = [one in special for one in encoded["input_ids"][0]]
    return frozenset(place for place, one in enumerate(added) if one)


def _readable(tokenizer: Any, encoded: Any, texts: Sequence[str]) -> tuple[str, ...]:
    """Return each token as the characters it stands for; pieces of one character all show that character."""
    ids = encoded["input_ids"][0]
    names = tokenizer.convert_ids_to_tokens(ids)
    if not tokenizer.is_fast:
        special = set(tokenizer.all_special_ids)
        return tuple(
            name if one in special else tokenizer.convert_tokens_to_string([name]).strip() or name
            for one, name in zip(ids, names, strict=True)
        )
    parts = encoded.encodings[0]
    return tuple(
        name if which is None else _visible(texts[which][start:end]) or _visible(tokenizer.decode([one])) or name
        for one, name, which, (start, end) in zip(ids, names, parts.sequence_ids, parts.offsets, strict=True)
    )


def _visible(characters: str) -> str:
    """Return characters without the space around them; nothing but space shows as a sign."""
    if characters.isspace():
        return "↵" if "\n" in characters else "␣"
    return characters.strip()


def _weights(registry: Registry, encoder: LoadedModel, pieces: _Pieces, lane: Lane) -> torch.Tensor:
    """Return all attention weights, float32 (layers, heads, tokens, tokens), each row summing to 1."""

    def run(items: Sequence[_Pieces]) -> list[Any]:
        return [_attentions(encoder, item) for item in items]

    found = registry.batcher.submit(
        (id(encoder.model), "attention"), [pieces], run, background=lane.background, cancel=lane.cancel
    )[0]
    count = len(pieces.tokens)
    shapes = {tuple(one.shape[-2:]) for one in found if one is not None}
    if not found or any(one is None for one in found) or shapes != {(count, count)}:
        raise WrongTask("error.no_attention_weights", name=encoder.spec.name)
    if len({one.shape for one in found}) > 1:
        raise WrongTask("error.uneven_attention_heads", name=encoder.spec.name)
    import torch

    weights = torch.cat(found)
    return weights / weights.sum(-1, keepdim=True)


def _attentions(encoder: LoadedModel, pieces: _Pieces) -> list[torch.Tensor | None]:
    """Run one text and return each layer's weights, float32 (1, heads, tokens, tokens), or None where it gave none."""
    import torch

    known = encoder.tokenizer.model_input_names
    device = encoder.model.device
    inputs = {name: torch.tensor([ids], device=device) for name, ids in pieces.inputs.items() if name in known}
    mask = torch.ones_like(inputs["input_ids"])
    with torch.inference_mode():
        output = encoder.model(**inputs, attention_mask=mask, output_attentions=True)
    layers = getattr(output, "attentions", None) or ()
    return [layer.float().cpu() if isinstance(layer, torch.Tensor) else None for layer in layers]


def _choose(weights: torch.Tensor, layer: int, head: int) -> torch.Tensor:
    """Return (tokens, tokens) of one layer and head, counted from 1; 0 takes the mean of all."""
    layers, heads = weights.shape[:2]
    if layer > layers:
        raise InvalidInput("error.no_such_layer", layer=layer, layers=layers)
    if head > heads:
        raise InvalidInput("error.no_such_head", head=head, heads=heads)
    of_layer = weights[layer - 1] if layer else weights.mean(0)
    return of_layer[head - 1] if head else of_layer.mean(0)
