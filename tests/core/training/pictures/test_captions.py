"""Captions as a UNet reads them, held against the pipelines' own reading of a prompt."""

from __future__ import annotations

import pytest
import torch

from core.training.pictures.captions import cut_captions, read_texts
from tests.core.training.pictures.lessons import tiny_parts

TEXTS = ["a red cat", "a dog in the snow, " * 20]


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_states_are_those_of_the_pipeline(family: str) -> None:
    """Training sees a caption exactly as drawing will see a prompt."""
    parts = tiny_parts(family)
    with torch.no_grad():
        expected = parts.pipeline.encode_prompt(
            TEXTS, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    found = read_texts(parts, TEXTS)
    assert torch.allclose(found.tokens, expected[0], atol=1e-6)
    if family == "sdxl":
        assert found.pooled is not None
        assert torch.allclose(found.pooled, expected[2], atol=1e-6)
    assert cut_captions(parts.tokenizers, TEXTS) == 1
