"""A picture from words alone."""

from __future__ import annotations

from dataclasses import dataclass

from core import fields
from core.imaging.options import DrawingOptions
from core.settings import LIMITS

TASK = "text-to-image"


@dataclass(frozen=True, kw_only=True)
class TextToImageSettings(DrawingOptions):
    """What the picture shall show."""

    prompt: str = fields.text(limit=LIMITS.prompt_characters)
