"""A picture from another one: noise is laid over it, and taken away towards the prompt."""

from __future__ import annotations

from dataclasses import dataclass

from core import fields
from core.imaging.options import DrawingOptions

TASK = "image-to-image"


@dataclass(frozen=True, kw_only=True)
class ImageToImageSettings(DrawingOptions):
    """Which picture to begin with, and how much of it may change."""

    image: str
    """Path of the uploaded picture; width and height 0 keep its size, to the model's multiples."""
    strength: float = fields.number(0.6, low=0.0, high=1.0, step=0.01)
    """0 = the picture as it is, 1 = only noise is left of it."""
