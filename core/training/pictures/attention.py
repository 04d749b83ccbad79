"""Attention that learns fast on a processor, whose fused backward pass is several times slower in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def attend_exactly(unet: Any) -> None:
    """Let a UNet's plain attention compute in float32 under autocast; attention of any other make stays as it is."""
    layers = dict(unet.named_modules())
    own = unet.attn_processors
    unet.set_attn_processor(
        {name: ExactAttention() if _is_plain(layers[name.removesuffix(".processor")]) else own[name] for name in own}
    )


def attend_as_usual(unet: Any) -> None:
    """Give a UNet diffusers' own attention back."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    own = unet.attn_processors
    unet.set_attn_processor(
        {name: AttnProcessor2_0() if isinstance(one, ExactAttention) else one for name, one in own.items()}
    )


class ExactAttention:
    """What diffusers' AttnProcessor2_0 does of a sequence without mask, in float32."""

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None, **_: Any
    ) -> torch.Tensor:
        """Return (batch, tokens, width)."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        pairs = ((attn.to_q, hidden_states), (attn.to_k, seen), (attn.to_v, seen))
        query, key, value = (_in_heads(layer(states), attn.heads) for layer, states in pairs)
        with torch.autocast(query.device.type, enabled=False):
            found = scaled_dot_product_attention(query, key, value)
        answer: torch.Tensor = attn.to_out[1](attn.to_out[0](found.transpose(1, 2).flatten(2)))
        return answer


def _in_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    return states.view(*states.shape[:-1], heads, -1).transpose(1, 2).float()


def _is_plain(attention: Any) -> bool:
    more = ("group_norm", "spatial_norm", "norm_q", "norm_k", "norm_cross", "add_k_proj")
    return (
        all(getattr(attention, name, None) is None for name in more)
        and not attention.residual_connection
        and attention.rescale_output_factor == 1
    )
