"""Part of a picture anew: what the mask leaves black stays as it was, to the pixel."""

from __future__ import annotations

from dataclasses import dataclass

from core import fields
from core.imaging.options import DrawingOptions

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
