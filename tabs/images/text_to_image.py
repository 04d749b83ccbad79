"""Text to image: a picture from words alone."""

from __future__ import annotations

from typing import Any

from core.imaging.text_to_image import TASK, TextToImageSettings
from tabs.images._panel import Panel


def _nothing_of_its_own() -> dict[str, Any]:
    return {}


PANEL = Panel(
    task=TASK,
    settings=TextToImageSettings,
    describe="Draw pictures from words; the work goes on when you leave, and the pictures are kept.",
    lay_out=_nothing_of_its_own,
)
