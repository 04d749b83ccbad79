"""Part of a picture anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import WrongTask
from core.imaging.inpainting import InpaintingSettings, inpainting
from core.imaging.text_to_image import TextToImageSettings, text_to_image
from core.models.registry import Registry
from tests.fakes.pipelines import tiny_pipeline


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """White in the right half of the photo."""
    from PIL import Image

    image = Image.new("L", (96, 80))
    image.paste(255, (48, 0, 96, 80))
    image.save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.mark.parametrize("blur", [0, 6])
def test_the_unmasked_part_stays_to_the_pixel(
    registry: Registry, photo: Path, mask: Path, quick: Any, blur: int
) -> None:
    """Black places keep the upload's own pixels at its own size; white ones change."""
    from PIL import Image

    free = {**quick(), "width": 0, "height": 0}
    settings = InpaintingSettings(**free, image=str(photo), mask=str(mask), mask_blur=blur)
    drawn = np.asarray(inpainting(settings, registry).pictures[0].image, int)
    before = np.asarray(Image.open(photo).convert("RGB"), int)
    assert drawn.shape == before.shape
    assert np.array_equal(drawn[:, :48], before[:, :48])
    assert np.abs(drawn[:, 56:] - before[:, 56:]).mean() > 5


def test_a_chosen_size_is_kept(registry: Registry, photo: Path, mask: Path, quick: Any) -> None:
    """With a size of its own the result has that size."""
    settings = InpaintingSettings(**quick(), image=str(photo), mask=str(mask))
    assert inpainting(settings, registry).pictures[0].size == (64, 64)


def test_a_model_for_inpainting_draws_nothing_else(registry: Registry, tmp_path: Path, photo: Path, mask: Path) -> None:
    """A UNet that reads a mask inpaints, and refuses a prompt alone in words."""
    import diffusers

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_pipeline("sd"))
    config = {**pipeline.unet.config, "in_channels": 9}
    parts = {**pipeline.components, "unet": diffusers.UNet2DConditionModel.from_config(config)}
    parts.pop("image_encoder", None)
    folder = tmp_path / "nine"
    diffusers.StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    few = {"model": str(folder), "num_inference_steps": 2, "width": 64, "height": 64}
    assert inpainting(InpaintingSettings(**few, image=str(photo), mask=str(mask)), registry).pictures
    with pytest.raises(WrongTask, match="inpainting"):
        text_to_image(TextToImageSettings(**few, prompt="a cat"), registry)
