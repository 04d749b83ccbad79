"""A fresh pipeline for each drawing, over the components of the borrowed one: nothing of a drawing stays behind."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import WrongTask
from core.imaging.canvas import Canvas

AUTO_CLASSES = {
    "text-to-image": "AutoPipelineForText2Image",
    "controlnet": "AutoPipelineForText2Image",
    "image-to-image": "AutoPipelineForImage2Image",
    "inpainting": "AutoPipelineForInpainting",
}
_OFFLOAD = ("_all_hooks", "_offload_device", "_offload_gpu_id")
"""What a pipeline remembers of its offload, beside the hooks in its components."""


@contextmanager
def fresh_pipeline(borrowed: Any, canvas: Canvas, scheduler: Any, name: str) -> Iterator[Any]:
    """Give a pipeline for the canvas's task with a scheduler of its own; `name` is the model's, for refusals.

    Raises WrongTask where diffusers knows no such pipeline for this model, or the model has another input than the
    task gives it.
    """
    _refuse_other_inputs(borrowed, canvas.task, name)
    _refuse_other_network(borrowed, canvas.network, name)
    pipeline = _made(borrowed, canvas, scheduler, name)
    for attribute in _OFFLOAD:
        if hasattr(borrowed, attribute):
            setattr(pipeline, attribute, getattr(borrowed, attribute))
    pipeline.set_progress_bar_config(disable=True)
    try:
        yield pipeline
    finally:
        pipeline.maybe_free_model_hooks()
        if canvas.network is not None:
            _without_hooks(canvas.network)


def accepted(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that a call of this pipeline takes."""
    takes = inspect.signature(pipeline.__call__).parameters
    return {name: value for name, value in arguments.items() if name in takes}


def _made(borrowed: Any, canvas: Canvas, scheduler: Any, name: str) -> Any:
    import diffusers

    parts = {"scheduler": scheduler}
    if canvas.network is not None:
        parts["controlnet"] = canvas.network
    try:
        return getattr(diffusers, AUTO_CLASSES[canvas.task]).from_pipe(borrowed, **parts)
    except ValueError as problem:
        made_for = type(borrowed).__name__
        raise WrongTask("error.wrong_task", name=name, task=canvas.task, made_for=made_for) from problem


def _refuse_other_inputs(borrowed: Any, task: str, name: str) -> None:
    """Refuse a UNet that reads a mask or a picture beside its latents, where the task has none."""
    unet, vae = getattr(borrowed, "unet", None), getattr(borrowed, "vae", None)
    if unet is None or vae is None or task == "inpainting":
        return
    if unet.config.in_channels != getattr(vae.config, "latent_channels", unet.config.in_channels):
        raise WrongTask("error.wrong_task", name=name, task=task, made_for="inpainting")


def _refuse_other_network(borrowed: Any, network: Any, name: str) -> None:
    """Refuse a ControlNet that was made beside another kind of denoiser than this model's."""
    if network is None:
        return
    unet = getattr(borrowed, "unet", None)
    fits = unet is not None and all(
        network.config.get(one) == unet.config.get(one) for one in ("cross_attention_dim", "addition_embed_type")
    )
    if not fits:
        raise WrongTask("error.controlnet_unfit", name=name)


def _without_hooks(network: Any) -> None:
    """Give a ControlNet back as it was borrowed: offload of the pipeline it worked in has hooked it, too."""
    if hasattr(network, "_hf_hook"):
        from accelerate.hooks import remove_hook_from_module  # type: ignore[import-untyped]

        remove_hook_from_module(network, recurse=True)
