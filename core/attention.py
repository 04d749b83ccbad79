"""Sliced attention: one slice of batch × heads at a time, for less peak memory and some more time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "sliced"
SLICES = 4
"""Into how many parts the batch × heads axis is cut; uneven sizes are fine."""


def register() -> str:
    """Teach transformers the attention implementation "sliced" and return that name."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, sliced_attention_forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def sliced_attention_forward(  # noqa: PLR0913 the signature is transformers' attention interface
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    position_bias: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend (batch, heads, length, width) like SDPA does; returns (batch, length, heads, width) and no weights."""
    from torch.nn.functional import dropout as drop
    from transformers.integrations.sdpa_attention import create_position_bias_mask, repeat_kv

    groups = getattr(module, "num_key_value_groups", 1)
    if groups > 1:
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    outcome = query.new_empty(*query.shape[:-1], value.shape[-1])
    rows = query.shape[0] * query.shape[1]
    flat_query, flat_key, flat_value = (tensor.flatten(0, 1) for tensor in (query, key, value))
    flat_outcome = outcome.view(rows, *outcome.shape[2:])
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    if position_bias is not None:
        attention_mask = create_position_bias_mask(position_bias, attention_mask, causal, query, key)
    elif attention_mask is None and causal and query.shape[-2] > 1:
        attention_mask = query.new_ones(1, 1, query.shape[-2], key.shape[-2]).tril().bool()
    mask = _mask_rows(attention_mask, query, key)
    size = -(-rows // SLICES)
    for start in range(0, rows, size):
        part = slice(start, start + size)
        scores = flat_query[part] @ flat_key[part].transpose(-1, -2) * scale
        if mask is not None:
            scores = scores + mask[part]
        weights = drop(scores.float().softmax(-1).to(query.dtype), dropout, module.training)
        flat_outcome[part] = weights @ flat_value[part]
    return outcome.transpose(1, 2).contiguous(), None


def _mask_rows(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor | None:
    """Return the mask as an additive (batch × heads, queries, keys) tensor, or None."""
    if mask is None:
        return None
    mask = mask[..., : key.shape[-2]]
    if not mask.is_floating_point():
        mask = mask.new_zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, float("-inf"))
    return mask.expand(query.shape[0], query.shape[1], *mask.shape[-2:]).flatten(0, 1)
