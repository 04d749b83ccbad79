"""Pictures from pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadFile, InvalidInput
from core.imaging.image_to_image import ImageToImageSettings, image_to_image
from core.imaging.sizes import fitted
from core.models.registry import Registry
from tests.fakes.pipelines import tiny_pipeline


@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_strength_0_gives_the_picture_back(
    registry: Registry, photo: Path, quick: Any, difference: Any, strength: float
) -> None:
    """Less than one step: the picture comes back to the autoencoder's error exactly, and the result says so."""
    import diffusers
    import torch
    from PIL import Image

    settings = ImageToImageSettings(**quick(), image=str(photo), strength=strength)
    drawn = image_to_image(settings, registry)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_pipeline("sd"))
    with torch.inference_mode():
        pixels = pipeline.image_processor.preprocess(fitted(Image.open(photo), (64, 64)))
        decoded = pipeline.vae.decode(pipeline.vae.encode(pixels).latent_dist.mode()).sample
    kept = pipeline.image_processor.postprocess(decoded)[0]
    assert difference(drawn.pictures[0].image, kept) <= 1
    assert [note.key for note in drawn.notes] == ["say.no_step_of_strength"]


def test_strength_decides_how_much_changes(registry: Registry, photo: Path, quick: Any) -> None:
    """More strength, more steps and another picture; the same seed is the same picture."""
    settings = [
        ImageToImageSettings(**{**quick(), "num_inference_steps": 4}, image=str(photo), strength=one)
        for one in (0.0, 0.5, 1.0, 0.5)
    ]
    kept, half, full, again = (np.asarray(image_to_image(one, registry).pictures[0].image, int) for one in settings)
    assert np.abs(half - kept).mean() < np.abs(full - kept).mean()
    assert np.array_equal(half, again)


def test_without_a_size_the_shape_is_kept(registry: Registry, tmp_path: Path, quick: Any) -> None:
    """A picture of any size is drawn at its own proportions, with as many pixels as the model was made for."""
    from PIL import Image

    Image.linear_gradient("L").resize((900, 300)).save(tmp_path / "wide.png")
    free = {**quick(), "width": 0, "height": 0}
    drawn = image_to_image(ImageToImageSettings(**free, image=str(tmp_path / "wide.png")), registry)
    assert drawn.pictures[0].size == (112, 40)


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_other_families_draw_pictures_anew(registry: Registry, photo: Path, quick: Any, family: str) -> None:
    """Stable Diffusion XL and Flux begin with a picture, too, two at a time."""
    settings = ImageToImageSettings(**quick(family), image=str(photo), num_images_per_prompt=2)
    assert len({one.image.tobytes() for one in image_to_image(settings, registry).pictures}) == 2


def test_a_missing_picture_is_refused(registry: Registry, quick: Any) -> None:
    """No upload, and one that is gone, are told in words."""
    with pytest.raises(InvalidInput, match="no picture for image"):
        image_to_image(ImageToImageSettings(**quick(), image=""), registry)
    with pytest.raises(BadFile, match=r"gone\.png is not there"):
        image_to_image(ImageToImageSettings(**quick(), image="/tmp/gone.png"), registry)  # noqa: S108
