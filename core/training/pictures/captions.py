"""Captions as a UNet reads them: tokens, and the states that the text encoders make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.training.pictures.parts import SDXL, PictureParts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class States:
    """What a UNet looks at: (batch, tokens, width), and of SDXL the whole caption, (batch, width)."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None


def token_rows(tokenizers: Sequence[Any], texts: Sequence[str]) -> list[torch.Tensor]:
    """Return the tokens of the texts for each tokenizer, (texts, length), cut and filled as the pipelines do."""
    return [
        tokenizer(
            list(texts),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        for tokenizer in tokenizers
    ]


def cut_captions(tokenizers: Sequence[Any], texts: Sequence[str]) -> int:
    """Return how many captions are longer than the model reads."""
    tokenizer = tokenizers[0]
    lengths = [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False).input_ids]
    return sum(length > tokenizer.model_max_length for length in lengths)


def read_tokens(family: str, encoders: Sequence[Any], tokens: Sequence[torch.Tensor]) -> States:
    """Return the states as the family's pipeline makes them of a prompt."""
    import torch

    if family != SDXL:
        return States(encoders[0](tokens[0])[0])
    answers = [encoder(ids, output_hidden_states=True) for encoder, ids in zip(encoders, tokens, strict=True)]
    # The last layer but one of each; of the whole caption only the last encoder, which has a projection, tells.
    return States(torch.cat([one.hidden_states[-2] for one in answers], dim=-1), answers[-1][0])


def read_texts(parts: PictureParts, texts: Sequence[str]) -> States:
    """Return the states of texts, read where the text encoders are."""
    import torch

    encoders = tuple(parts.text_encoders.values())
    tokens = [rows.to(encoders[0].device) for rows in token_rows(parts.tokenizers, texts)]
    with torch.no_grad():
        return read_tokens(parts.family, encoders, tokens)
