"""A picture from words that keeps the lines, depths or poses of another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core import fields
from core.catalogue import ModelSpec
from core.errors import InvalidInput
from core.imaging.canvas import Canvas
from core.imaging.conditions import Sought, condition_of
from core.imaging.drawing import draw
from core.imaging.options import DrawingOptions
from core.imaging.pictures import Drawn, Watch
from core.imaging.sizes import fitted
from core.imaging.uploads import read_picture
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.placement.wish import Wish
from core.provenance import Provenance

if TYPE_CHECKING:
    from PIL.Image import Image

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

    def network_spec(self, registry: Registry) -> ModelSpec:
        """Return the ControlNet that these options mean, placed like the model itself."""
        wish = Wish(device=self.device, dtype=self.dtype, attention_slicing=self.attention_slicing)
        return registry.resolve(self.controlnet, TASK, wish)


def controlnet(settings: ControlNetSettings, registry: Registry, watch: Watch | None = None) -> Drawn:
    """Draw what the prompt says along the lines of a picture.

    Raises InvalidInput, BadFile, ModelError (a ControlNet made for another kind of model, too), HubError or Cancelled.
    """
    watch = watch or Watch()
    upload = read_picture(settings.image)
    sought = Sought(settings.condition, settings.condition_model, settings.low_threshold, settings.high_threshold)
    condition = condition_of(upload.image, sought, registry, watch)
    with registry.borrow(settings.network_spec(registry), 0, watch.cancel, watch.report) as network:
        canvas = Canvas(
            TASK,
            shape=upload.image.size,
            arguments=lambda size: _arguments(settings, fitted(condition, size)),
            network=network.model,
            notes=upload.notes,
            condition=condition,
        )
        drawn = draw(settings, canvas, registry, watch)
        return replace(drawn, provenance=_with_network(drawn.provenance, network))


def _arguments(settings: ControlNetSettings, condition: Image) -> dict[str, Any]:
    """Return the condition under both names that families of pipelines have for it, and how strictly it leads."""
    return {
        "image": condition,
        "control_image": condition,
        "controlnet_conditioning_scale": settings.controlnet_conditioning_scale,
        "control_guidance_start": settings.control_guidance_start,
        "control_guidance_end": settings.control_guidance_end,
    }


def _with_network(provenance: Provenance, network: LoadedModel) -> Provenance:
    label = f"{network.spec.name}@{network.files.revision}"
    return replace(provenance, adapter=", ".join(filter(None, (provenance.adapter, label))))
