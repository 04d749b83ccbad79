"""Pictures from disk as the VAE reads them: upright, RGB, sized, and turned into numbers from -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadFile

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True)
class Sized:
    """A picture whose shorter side is the resolution, and what SDXL is told of it: (height, width), (top, left)."""

    image: Image
    original: tuple[int, int]
    corner: tuple[int, int]


def read_sized(file: Path, resolution: int, *, center_crop: bool) -> Sized:
    """Read a picture and scale it; its middle square with `center_crop`, else all of it, for squares to be drawn from.

    Raises BadFile for one that can no longer be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as found:
            image = _on_white(ImageOps.exif_transpose(found))
    except OSError as problem:
        raise BadFile("error.train_picture_unreadable", file=file.name) from problem
    original = (image.height, image.width)
    scale = resolution / min(original)
    height, width = (max(round(side * scale), resolution) for side in original)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    top, left = ((height - resolution) // 2, (width - resolution) // 2) if center_crop else (0, 0)
    if center_crop:
        image = image.crop((left, top, left + resolution, top + resolution))
    return Sized(image, original, (top, left))


def as_values(image: Image) -> torch.Tensor:
    """Return a picture as (3, height, width), -1 for black to 1 for white."""
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1).contiguous()


def _on_white(image: Image) -> Image:
    """Return RGB, what is transparent on white; 16-bit greys keep their upper 8 bits."""
    from PIL import Image as Pillow

    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    painted = image.convert("RGBA")
    return Pillow.alpha_composite(Pillow.new("RGBA", painted.size, "white"), painted).convert("RGB")
