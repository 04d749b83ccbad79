"""Texts as vectors: one a line, how alike the lines are, and which lie nearest to a query."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import fields
from core.errors import InvalidInput
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Encoded, Lane, borrow, cut_notes, encode, forward, with_notes
from core.tasks.text.options import ModelOptions
from core.tasks.text.pooling import as_encoder, cosines, embed, read_tokens, unit_length
from core.tasks.text.taught import script_notes
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

TASK = "feature-extraction"
NONE = "none"
MOST_TOKEN_VECTORS = 2_000
"""Tokens whose vectors one answer may hold: about 10 MB of JSON at 384 dimensions."""


@dataclass(frozen=True, kw_only=True)
class FeatureExtractionSettings(ModelOptions):
    """Lines to turn into vectors; with a query, the lines are sorted by how near they are to it."""

    text: str = fields.text(limit=LIMITS.text_characters)
    query: str = fields.text(limit=LIMITS.text_characters, optional=True)
    pooling: str = fields.choice("mean", ("mean", "cls", "max", NONE))
    """How the vectors of the tokens become one; "none" keeps them all, as the transformers pipeline does."""
    normalize: bool = True
    """Scale each line's vector to length 1; vectors of tokens stay as they are."""

    def __post_init__(self) -> None:
        """Refuse too many lines, and whatever else lies outside the limits."""
        super().__post_init__()
        if len(self.lines) > LIMITS.lines:
            raise InvalidInput("error.too_many_lines", lines=len(self.lines), limit=LIMITS.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that are not blank, without the space around them."""
        return tuple(line.strip() for line in self.text.splitlines() if line.strip())


@dataclass(frozen=True)
class Neighbour:
    """A line near to the query, or near to the line `of` (places in `lines`, from 0)."""

    line: int
    text: str
    score: float
    """Cosine: 1 = same direction, 0 = unrelated."""
    of: int | None = None


@dataclass(frozen=True)
class FeatureExtraction:
    """One vector a line, and what they say about each other."""

    lines: tuple[str, ...]
    vectors: list[list[float]]
    """(lines, hidden); with pooling "none" the mean, which similarity and nearest are computed from."""
    similarity: list[list[float]]
    """Cosine of every pair of lines: (lines, lines)."""
    nearest: tuple[Neighbour, ...]
    """With a query: all lines, the nearest first. Without: for each line the one nearest to it."""
    tokens: list[list[list[list[float]]]] | None
    """With pooling "none": for each line (1, tokens, hidden)."""
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> list[Any]:
        """One vector a line; with pooling "none" what the transformers pipeline returns: [1][tokens][hidden] a line."""
        return self.vectors if self.tokens is None else self.tokens


def extract_features(
    settings: FeatureExtractionSettings, registry: Registry, lane: Lane = INTERACTIVE
) -> FeatureExtraction:
    """Embed every line, and the query if there is one; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    lines, query = settings.lines, settings.query.strip()
    with borrow(registry, settings.spec(registry, TASK), [*lines, query], lane) as model:
        encoder = as_encoder(model)
        encoded = encode(encoder, [*lines, query] if query else lines)
        tokens = _token_vectors(registry, encoder, encoded[: len(lines)], lane) if settings.pooling == NONE else None
        vectors = _vectors(registry, encoder, encoded, settings, lane)
        notes = (*cut_notes(encoder, encoded), *script_notes(model, *lines, query))
        provenance = model.provenance(time.perf_counter() - started)
    if tokens is not None and (len(lines) > 1 or query):
        notes += (say("say.similarity_of_means"),)
    own, asked = vectors[: len(lines)], vectors[len(lines) :]
    similarity = cosines(own, own)
    nearest = _nearest_to_query(lines, cosines(asked, own)[0]) if query else _nearest_to_each(lines, similarity)
    return FeatureExtraction(
        lines, own.tolist(), similarity.tolist(), nearest, tokens, with_notes(provenance, notes), notes
    )


def extract_features_of_texts(
    texts: Sequence[str], settings: FeatureExtractionSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[Any]:
    """Embed many texts with a borrowed model: one vector a text, or (1, tokens, hidden) with pooling "none"."""
    encoder = as_encoder(model)
    encoded = encode(encoder, [text.strip() for text in texts])
    lane.tell_cut(encoder, encoded)
    if settings.pooling == NONE:
        return [[states.tolist()] for states in forward(registry, encoder, encoded, read_tokens, lane)]
    found: list[Any] = _vectors(registry, encoder, encoded, settings, lane).tolist() if encoded else []
    return found


def _vectors(
    registry: Registry,
    encoder: LoadedModel,
    encoded: Sequence[Encoded],
    settings: FeatureExtractionSettings,
    lane: Lane,
) -> torch.Tensor:
    pooling = "mean" if settings.pooling == NONE else settings.pooling
    vectors = embed(registry, encoder, encoded, pooling, lane)
    return unit_length(vectors) if settings.normalize else vectors


def _token_vectors(
    registry: Registry, encoder: LoadedModel, encoded: Sequence[Encoded], lane: Lane
) -> list[list[list[list[float]]]]:
    count = sum(len(one.ids) for one in encoded)
    if count > MOST_TOKEN_VECTORS:
        raise InvalidInput("error.too_many_token_vectors", tokens=count, limit=MOST_TOKEN_VECTORS)
    return [[states.tolist()] for states in forward(registry, encoder, encoded, read_tokens, lane)]


def _nearest_to_query(lines: Sequence[str], scores: torch.Tensor) -> tuple[Neighbour, ...]:
    order = scores.argsort(descending=True, stable=True).tolist()
    return tuple(Neighbour(place, lines[place], float(scores[place])) for place in order)


def _nearest_to_each(lines: Sequence[str], similarity: torch.Tensor) -> tuple[Neighbour, ...]:
    if len(lines) == 1:
        return ()
    scores, places = similarity.clone().fill_diagonal_(float("-inf")).max(1)
    found = zip(places.tolist(), scores.tolist(), strict=True)
    return tuple(Neighbour(place, lines[place], score, of) for of, (place, score) in enumerate(found))
