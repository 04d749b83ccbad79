"""Which sizes a model can draw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import InvalidInput
from core.imaging.options import DrawingOptions
from core.imaging.sizes import multiple_of, own_size, size_for


def _pipeline(side: int = 64, patch: int | None = None) -> Any:
    network = SimpleNamespace(config=SimpleNamespace(sample_size=side, patch_size=patch or 1))
    kind = "unet" if patch is None else "transformer"
    return SimpleNamespace(vae_scale_factor=8, default_sample_size=side, **{kind: network})


def test_what_sizes_must_be_multiples_of() -> None:
    """A UNet's latents, Flux's packed pairs, and patches of two."""
    assert [multiple_of(_pipeline(patch=patch)) for patch in (None, 1, 2, 4)] == [8, 16, 16, 32]


def test_0_is_the_models_own_size() -> None:
    """Where nothing is asked for, a model draws what it was made for."""
    assert own_size(_pipeline(64)) == (512, 512)
    assert size_for(_pipeline(128), 0, 640) == (1024, 640)


@pytest.mark.parametrize(
    ("asked", "shape", "expected"),
    [
        ((0, 0), (4000, 3000), (592, 440)),
        ((0, 0), (60, 60), (512, 512)),
        ((256, 0), (4000, 3000), (256, 192)),
        ((0, 256), (4000, 3000), (344, 256)),
        ((128, 640), (4000, 3000), (128, 640)),
        ((0, 0), (10_000, 1), (2048, 8)),
    ],
)
def test_a_pictures_shape_is_kept(asked: tuple[int, int], shape: tuple[int, int], expected: tuple[int, int]) -> None:
    """What is not asked for follows from the picture's proportions, at about the model's own number of pixels."""
    assert size_for(_pipeline(), *asked, shape) == expected


@pytest.mark.parametrize(("width", "near"), [(63, "56 / 64"), (7, "8"), (513, "512 / 520")])
def test_the_nearest_sizes_are_named(width: int, near: str) -> None:
    """A size between two multiples is refused with both."""
    with pytest.raises(InvalidInput, match=f"width {width}.*multiple of 8.*{near}"):
        size_for(_pipeline(), width, 64)


def test_too_many_pixels_are_refused_before_a_model_is_loaded() -> None:
    """The limit stands beside the fields."""
    with pytest.raises(InvalidInput, match="2049"):
        DrawingOptions(width=2049, height=8)
    assert DrawingOptions(width=2048, height=2048).width == 2048
