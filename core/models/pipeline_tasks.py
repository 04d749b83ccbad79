"""Which task a diffusers class was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTROLNET = "ControlNetModel"


def can_do(task: str, class_name: str) -> bool:
    """Tell whether AutoPipeline knows how a pipeline of this class does `task`, whichever of them it was saved as."""
    return pipeline_class(task, class_name) is not None


def pipeline_class(task: str, class_name: str) -> Any:
    """Return the class that AutoPipeline makes of a pipeline of this class for `task`, None where it knows none."""
    from diffusers.pipelines import auto_pipeline

    known: Mapping[str, Mapping[str, Any]] = {
        "text-to-image": auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
        "image-to-image": auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
        "inpainting": auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
    }
    if task == "controlnet":
        task, class_name = "text-to-image", _with_network(class_name)
    found = (name for mapping in known.values() for name, made in mapping.items() if made.__name__ == class_name)
    return next((known[task][name] for name in found if name in known[task]), None)


def _with_network(class_name: str) -> str:
    """Return the class of the same family that a ControlNet leads: StableDiffusionControlNetPipeline, say."""
    return class_name if "ControlNet" in class_name else class_name.replace("Pipeline", "ControlNetPipeline")
