"""Part of a picture anew: what the mask leaves black stays as it was, to the pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import fields
from core.imaging.canvas import Canvas
from core.imaging.drawing import draw
from core.imaging.options import DrawingOptions
from core.imaging.pictures import Drawn, Watch
from core.imaging.sizes import fitted
from core.imaging.uploads import read_mask, read_picture
from core.models.registry import Registry

if TYPE_CHECKING:
    from PIL.Image import Image

TASK = "inpainting"


@dataclass(frozen=True, kw_only=True)
class InpaintingSettings(DrawingOptions):
    """Which picture, and where it shall change."""

    image: str
    """Path of the uploaded picture; width and height 0 keep its size, to the model's multiples."""
    mask: str
    """Path of the mask: white is drawn anew, black stays; it has the picture's size."""
    strength: float = fields.number(1.0, low=0.0, high=1.0, step=0.01)
    """How much of what is under the mask may change: 1 = nothing of it is left."""
    mask_blur: int = fields.number(4, low=0, high=64)
    """Pixels over which the new part fades into the old one; they lie inside the mask."""


def inpainting(settings: InpaintingSettings, registry: Registry, watch: Watch | None = None) -> Drawn:
    """Draw what is under the mask anew; raises InvalidInput, BadFile, ModelError, HubError or Cancelled in words.

    Without a width or height the result has the picture's own size, whatever size the model draws at.
    """
    upload = read_picture(settings.image)
    mask = read_mask(settings.mask, upload.image)
    canvas = Canvas(
        TASK,
        shape=upload.image.size,
        arguments=lambda size: {
            "image": fitted(upload.image, size),
            "mask_image": fitted(mask.image, size),
            "strength": settings.strength,
        },
        finish=lambda image: _laid_into(image, upload.image, mask.image, settings),
        strength=settings.strength,
        begin=upload.image,
        notes=(*upload.notes, *mask.notes),
    )
    return draw(settings, canvas, registry, watch or Watch())


def _laid_into(drawn: Image, picture: Image, mask: Image, settings: InpaintingSettings) -> Image:
    """Lay what was drawn into the picture: black places keep their pixels, the edge of white ones fades."""
    from PIL import Image as Pillow
    from PIL import ImageChops, ImageFilter

    asked = settings.width or settings.height
    size = drawn.size if asked else picture.size
    whole = fitted(mask, size)
    soft = ImageChops.darker(whole, whole.filter(ImageFilter.GaussianBlur(settings.mask_blur)))
    return Pillow.composite(drawn.resize(size, Pillow.Resampling.LANCZOS), fitted(picture, size), soft)
