"""Which task a diffusers class was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTROLNET = "ControlNetModel"


def can_do(task: str, class_name: str) -> bool:
    """Tell whether AutoPipeline knows how a pipeline of this class does `task`, whichever of them it was saved as."""
    from diffusers.pipelines import auto_pipeline

    known: Mapping[str, Mapping[str, Any]] = {
        "text-to-image": auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
        "image-to-image": auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
        "inpainting": auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
    }
    found = (name for mapping in known.values() for name, made in mapping.items() if made.__name__ == class_name)
    return any(name in known[task] for name in found)
