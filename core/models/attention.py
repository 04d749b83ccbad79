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


def sliced_attention_forward(  # noqa: PLR0913, PLR0917 the signature is transformers' attention interface
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,  # noqa: FBT001
    position_bias: torch.Tensor | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend (batch, heads, length, width) like SDPA does; returns (batch, length, heads, width) and no weights.

    A query that may look at no key attends evenly: finite, as padding rows must be, for their values are the keys
    of the next layer and a NaN there would spread. Raises ValueError for attention sinks, which are not sliced.
    """
    from torch.nn.functional import dropout as drop

    if s_aux is not None:
        raise ValueError("sliced attention has no attention sinks (s_aux); use attention='eager'")
    key, value = _repeat(module, key), _repeat(module, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    mask = _whole_mask(query, key, attention_mask, position_bias, causal=causal)
    outcome = query.new_empty(*query.shape[:-1], value.shape[-1])
    rows = query.shape[0] * query.shape[1]
    flat_query, flat_key, flat_value = (tensor.flatten(0, 1) for tensor in (query, key, value))
    flat_outcome = outcome.view(rows, *outcome.shape[2:])
    size = -(-rows // SLICES)
    for start in range(0, rows, size):
        part = slice(start, start + size)
        scores = (flat_query[part] @ flat_key[part].transpose(-1, -2)).float() * scale
        if softcap:
            scores = (scores / softcap).tanh() * softcap
        if mask is not None:
            scores = _masked(scores, _slice_of(mask, query.shape[1], start, start + scores.shape[0]))
        weights = drop(scores.softmax(-1).to(query.dtype), dropout, module.training)
        flat_outcome[part] = weights @ flat_value[part]
    return outcome.transpose(1, 2).contiguous(), None


def _repeat(module: torch.nn.Module, tensor: torch.Tensor) -> torch.Tensor:
    """Give every query head its own copy of the key or value head that it shares with its group."""
    groups = getattr(module, "num_key_value_groups", 1)
    return tensor.repeat_interleave(groups, dim=1) if groups > 1 else tensor


def _whole_mask(
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    position_bias: torch.Tensor | None,
    *,
    causal: bool,
) -> torch.Tensor | None:
    """Join mask, causality and position bias into one mask (batch or 1, heads or 1, queries, keys), or None.

    Causality counts only where no mask is given and more than one token asks, as in transformers' SDPA.
    """
    from transformers.integrations.sdpa_attention import create_position_bias_mask

    length, keys = query.shape[-2], key.shape[-2]
    causal = causal and mask is None and length > 1
    if mask is not None:
        mask = mask[..., :keys]
    if position_bias is not None:
        return create_position_bias_mask(position_bias, mask, causal, query, key)
    return query.new_ones(1, 1, length, keys).tril().bool() if causal else mask


def _slice_of(mask: torch.Tensor, heads: int, start: int, stop: int) -> torch.Tensor:
    """Return the mask of rows start … stop - 1 of batch × heads, copying no other row of a shared mask."""
    import torch

    rows = torch.arange(start, stop, device=mask.device)
    batch = rows // heads if mask.shape[0] > 1 else rows * 0
    head = rows % heads if mask.shape[1] > 1 else rows * 0
    return mask[batch, head]


def _masked(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Hide what a boolean mask forbids, or add a float mask; the least finite number stands for minus infinity."""
    import torch

    least = torch.finfo(scores.dtype).min
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, least)
    return (scores + mask).clamp(min=least)
