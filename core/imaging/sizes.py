"""Which sizes a model can draw: its own, and the multiples that its layers need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.settings import LIMITS

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]
"""Width and height in pixels."""
USUAL_SCALE = 8
"""Pixels that one latent stands for, a side, where the pipeline does not tell."""
PACKED = 2
"""Transformers read latents in squares of at least this side, as Flux packs them."""
USUAL_SIDE = 64
"""Latents a side where nothing tells."""


def multiple_of(pipeline: Any) -> int:
    """Return what width and height must be multiples of."""
    scale = _scale(pipeline)
    transformer = getattr(pipeline, "transformer", None)
    if transformer is None:
        return scale
    patch = getattr(transformer.config, "patch_size", 1)
    return scale * max(patch if isinstance(patch, int) else 1, PACKED)


def own_size(pipeline: Any) -> Size:
    """Return the size that the model was made for."""
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    side = getattr(pipeline, "default_sample_size", None) or getattr(
        getattr(network, "config", None), "sample_size", None
    )
    high, wide = side if isinstance(side, list | tuple) else (side or USUAL_SIDE,) * 2
    return int(wide) * _scale(pipeline), int(high) * _scale(pipeline)


def size_for(pipeline: Any, width: int, height: int, shape: Size | None = None) -> Size:
    """Return the size to draw; 0 stands for the model's own, or for what keeps the proportions of `shape`.

    With a `shape` (a picture to begin with) and nothing asked for, the result has about as many pixels as the model was
    made for. Raises InvalidInput, with the nearest sizes, for a size that the model cannot draw.
    """
    multiple = multiple_of(pipeline)
    for name, asked in (("width", width), ("height", height)):
        if asked % multiple:
            raise InvalidInput(
                "error.size_multiple", name=name, value=asked, multiple=multiple, near=_near(asked, multiple)
            )
    own_width, own_height = own_size(pipeline)
    if shape is None:
        found = width or own_width, height or own_height
    else:
        found = _shaped(width, height, shape, own_width * own_height, multiple)
    if found[0] * found[1] > LIMITS.picture_pixels:
        raise InvalidInput("error.too_many_pixels", width=found[0], height=found[1], limit=LIMITS.picture_pixels)
    return found


def fitted(image: Image, size: Size) -> Image:
    """Return the picture at `size`, its middle where the proportions differ."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    return image if image.size == size else ImageOps.fit(image, size, Pillow.Resampling.LANCZOS)


def _scale(pipeline: Any) -> int:
    return int(getattr(pipeline, "vae_scale_factor", 0) or USUAL_SCALE)


def _near(asked: int, multiple: int) -> str:
    below = asked // multiple * multiple
    return " / ".join(str(one) for one in (below, below + multiple) if one)


def _shaped(width: int, height: int, shape: Size, pixels: int, multiple: int) -> Size:
    """Fill in what is 0, so that the proportions are those of `shape` up to the multiple."""
    proportion = shape[0] / shape[1]
    if width and height:
        return width, height
    if width:
        return width, _rounded(width / proportion, multiple)
    if height:
        return _rounded(height * proportion, multiple), height
    high = math.sqrt(pixels / proportion)
    return _rounded(high * proportion, multiple), _rounded(high, multiple)


def _rounded(side: float, multiple: int) -> int:
    """Return the nearest multiple; very long pictures end at the largest side."""
    largest = LIMITS.picture_side // multiple * multiple
    return min(max(round(side / multiple), 1) * multiple, largest)
