"""A picture from another one: noise is laid over it, and taken away towards the prompt."""

from __future__ import annotations

from dataclasses import dataclass

from core import fields
from core.imaging.canvas import Canvas
from core.imaging.drawing import draw
from core.imaging.options import DrawingOptions
from core.imaging.pictures import Drawn, Watch
from core.imaging.sizes import fitted
from core.imaging.uploads import read_picture
from core.models.registry import Registry

TASK = "image-to-image"


@dataclass(frozen=True, kw_only=True)
class ImageToImageSettings(DrawingOptions):
    """Which picture to begin with, and how much of it may change."""

    image: str
    """Path of the uploaded picture; width and height 0 keep its size, to the model's multiples."""
    strength: float = fields.number(0.6, low=0.0, high=1.0, step=0.01)
    """0 = the picture as it is, 1 = only noise is left of it."""


def image_to_image(settings: ImageToImageSettings, registry: Registry, watch: Watch | None = None) -> Drawn:
    """Draw the picture anew; raises InvalidInput, BadFile, ModelError, HubError or Cancelled in words.

    At strength 0 it comes back as the autoencoder keeps it.
    """
    upload = read_picture(settings.image)
    canvas = Canvas(
        TASK,
        shape=upload.image.size,
        arguments=lambda size: {"image": fitted(upload.image, size), "strength": settings.strength},
        strength=settings.strength,
        begin=upload.image,
        notes=upload.notes,
    )
    return draw(settings, canvas, registry, watch or Watch())
