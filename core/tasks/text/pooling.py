"""From the hidden states of an encoder to one vector a text, and how close two of them are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import WrongTask
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.tasks.text.encoder import Encoded, Lane, forward

if TYPE_CHECKING:
    import torch

SENTENCE_CONFIG = "sentence_bert_config.json"
"""Where a sentence-transformers model says how many tokens it was made to read."""


def as_encoder(model: LoadedModel) -> LoadedModel:
    """Return the model as a text encoder: the encoder half where it has a decoder, and the length it was made for.

    sentence-transformers cuts texts at max_seq_length of sentence_bert_config.json, often less than the position table.
    """
    halves = bool(getattr(model.model.config, "is_encoder_decoder", False))
    encoder = model.model.get_encoder() if halves else model.model
    return replace(model, model=encoder, max_length=min(model.max_length, _length_it_was_made_for(model)))


def _length_it_was_made_for(model: LoadedModel) -> int:
    path = model.files.folder / SENTENCE_CONFIG
    description = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return int(description.get("max_seq_length") or model.max_length)


def embed(
    registry: Registry, encoder: LoadedModel, encoded: Sequence[Encoded], pooling: str, lane: Lane
) -> torch.Tensor:
    """Return one vector a text, float32 (texts, hidden); `pooling` is a key of POOLINGS."""
    import torch

    return torch.stack(forward(registry, encoder, encoded, POOLINGS[pooling], lane))


def read_tokens(output: Any, mask: torch.Tensor) -> list[torch.Tensor]:
    """Take the hidden states of each text without its padding: float32 (length, hidden)."""
    return [row[kept] for row, kept in zip(_hidden(output), mask.bool().cpu(), strict=True)]


def read_mean(output: Any, mask: torch.Tensor) -> list[torch.Tensor]:
    """Average the hidden states over the tokens that are no padding (Reimers & Gurevych 2019, section 3)."""
    weights = mask.cpu().float()[..., None]
    return list((_hidden(output) * weights).sum(1) / weights.sum(1))


def read_cls(output: Any, mask: torch.Tensor) -> list[torch.Tensor]:
    """Take the hidden state of the first token, wherever the padding is."""
    hidden = _hidden(output)
    return [row[first] for row, first in zip(hidden, mask.cpu().int().argmax(1).tolist(), strict=True)]


def read_max(output: Any, mask: torch.Tensor) -> list[torch.Tensor]:
    """Take the largest value of each dimension over the tokens that are no padding."""
    return list(_hidden(output).masked_fill(~mask.cpu().bool()[..., None], float("-inf")).amax(1))


POOLINGS: Mapping[str, Callable[[Any, torch.Tensor], list[torch.Tensor]]] = {
    "mean": read_mean,
    "cls": read_cls,
    "max": read_max,
}


def cosines(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the cosine of every pair of rows, (rows of first, rows of second), between -1 and 1."""
    return (unit_length(first) @ unit_length(second).T).clamp(-1, 1)


def unit_length(vectors: torch.Tensor) -> torch.Tensor:
    """Scale each row to length 1; a row of zeros stays zero."""
    from torch.nn.functional import normalize

    return normalize(vectors, dim=-1)


def _hidden(output: Any) -> torch.Tensor:
    """Take the last hidden states as float32 (batch, length, hidden), in main memory."""
    states = getattr(output, "last_hidden_state", None)
    if states is None:
        raise WrongTask("error.no_hidden_states")
    found: torch.Tensor = states.float().cpu()
    return found
