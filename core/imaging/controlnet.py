"""A picture from words that keeps the lines, depths or poses of another one."""

from __future__ import annotations

from dataclasses import dataclass

from core import fields
from core.errors import InvalidInput
from core.imaging.options import DrawingOptions

TASK = "controlnet"
CONDITIONS = ("canny", "depth", "pose", "scribble", "as_is")


@dataclass(frozen=True, kw_only=True)
class ControlNetSettings(DrawingOptions):
    """Which picture leads, what of it, and how strictly."""

    image: str
    """Path of the uploaded picture that leads."""
    controlnet: str = ""
    """The ControlNet by name ("" = the starter's)."""
    condition: str = fields.choice("canny", CONDITIONS)
    """What is taken from the picture; "as_is" = it is a condition already."""
    condition_model: str = ""
    """The model that finds depths or poses, by name ("" = the first that the catalogue suggests)."""
    controlnet_conditioning_scale: float = fields.number(1.0, low=0.0, high=2.0, step=0.05)
    control_guidance_start: float = fields.number(0.0, low=0.0, high=1.0, step=0.01)
    """Part of the steps after which the ControlNet begins to lead."""
    control_guidance_end: float = fields.number(1.0, low=0.0, high=1.0, step=0.01)
    """Part of the steps after which it stops."""
    low_threshold: int = fields.number(100, low=0, high=255)
    """Canny: a weaker edge than this is none."""
    high_threshold: int = fields.number(200, low=0, high=255)
    """Canny: a stronger edge than this is one; those between are kept where they join one."""

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits or contradicts itself."""
        super().__post_init__()
        if self.control_guidance_start >= self.control_guidance_end:
            raise InvalidInput(
                "error.control_guidance", start=self.control_guidance_start, end=self.control_guidance_end
            )
        if self.low_threshold > self.high_threshold:
            raise InvalidInput("error.canny_thresholds", low=self.low_threshold, high=self.high_threshold)
