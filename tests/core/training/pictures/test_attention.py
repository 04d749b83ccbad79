"""Attention in float32 under autocast."""

from __future__ import annotations

import torch

from core.training.pictures.attention import ExactAttention, attend_as_usual, attend_exactly
from tests.core.training.pictures.lessons import tiny_parts


def test_it_answers_as_the_usual_one_does_and_can_be_taken_back() -> None:
    """Equal without autocast; and afterwards nothing of it is left in the model."""
    unet = tiny_parts("sdxl").unet
    inputs = (torch.randn(2, 4, 8, 8), torch.tensor([3, 700]), torch.randn(2, 77, 32))
    told = {"text_embeds": torch.randn(2, 16), "time_ids": torch.randn(2, 6)}
    with torch.no_grad():
        usual = unet(*inputs, added_cond_kwargs=told).sample
        attend_exactly(unet)
        assert all(isinstance(one, ExactAttention) for one in unet.attn_processors.values())
        assert torch.allclose(unet(*inputs, added_cond_kwargs=told).sample, usual, atol=1e-5)
    attend_as_usual(unet)
    assert not any(isinstance(one, ExactAttention) for one in unet.attn_processors.values())
