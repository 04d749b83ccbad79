"""Sliced attention is full attention, computed in parts."""

from __future__ import annotations

from typing import Any

import pytest


def test_sliced_pictures_are_full_pictures(draws: Any, difference: Any) -> None:
    """The same seed gives the same picture with attention slicing on and off, at a size that does not divide evenly."""
    few = {"width": 72, "height": 40, "num_images_per_prompt": 3}
    sliced, full = (draws(attention_slicing=one, **few) for one in ("on", "off"))
    assert (sliced.provenance.attention, full.provenance.attention) == ("sliced", "sdpa")
    pairs = zip(sliced.pictures, full.pictures, strict=True)
    assert max(difference(one.image, other.image) for one, other in pairs) <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 13), (23, 17)])
@pytest.mark.parametrize("slice_size", [1, 3, 8])
def test_a_block_of_stable_diffusion_s_size(height: int, width: int, slice_size: int) -> None:
    """Eight heads of 40, a prompt of 77 tokens: sliced and fused attention agree to 1e-5 at awkward shapes."""
    import torch
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.attention_processor import AttnProcessor2_0, SlicedAttnProcessor

    torch.manual_seed(height)
    block = BasicTransformerBlock(320, 8, 40, cross_attention_dim=768).eval()
    states, prompt = torch.randn(2, height * width, 320), torch.randn(2, 77, 768)
    answers = []
    for made in (AttnProcessor2_0(), SlicedAttnProcessor(slice_size)):
        block.attn1.set_processor(made)
        block.attn2.set_processor(made)
        with torch.inference_mode():
            answers.append(block(states, encoder_hidden_states=prompt))
    assert torch.allclose(*answers, atol=1e-5)
    assert answers[0].std() > 0.5
