"""A picture from words alone."""

from __future__ import annotations

from dataclasses import dataclass

from core import fields
from core.imaging.canvas import Canvas
from core.imaging.drawing import draw
from core.imaging.options import DrawingOptions
from core.imaging.pictures import Drawn, Watch
from core.models.registry import Registry
from core.settings import LIMITS

TASK = "text-to-image"


@dataclass(frozen=True, kw_only=True)
class TextToImageSettings(DrawingOptions):
    """What the picture shall show."""

    prompt: str = fields.text(limit=LIMITS.prompt_characters)


def text_to_image(settings: TextToImageSettings, registry: Registry, watch: Watch | None = None) -> Drawn:
    """Draw what the prompt says; raises InvalidInput, ModelError, HubError or Cancelled in words."""
    return draw(settings, Canvas(TASK), registry, watch or Watch())
