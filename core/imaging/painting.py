"""One call of a pipeline: from prompt, canvas and seeds to finished pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.imaging.adapters import Overlay
from core.imaging.canvas import Canvas
from core.imaging.cost import Meter
from core.imaging.options import DrawingOptions
from core.imaging.pipelines import accepted
from core.imaging.prompts import Prompt, guidance_arguments, prompt_notes, told
from core.imaging.repair import Tell, careful_decoding
from core.imaging.schedulers import learned_flow, unfit
from core.imaging.sizes import Size, fitted, size_for
from core.imaging.stepping import Drawing, Stepping
from core.words import say

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Easel:
    """What all calls of one request share."""

    pipeline: Any
    canvas: Canvas
    overlay: Overlay
    stepping: Stepping
    meter: Meter
    tell: Tell
    give_way: Callable[[], None]
    kept: dict[str, Any]
    """What is kept with the model: embeddings, and the map of its previews."""


def paint(easel: Easel, settings: DrawingOptions, seeds: Sequence[int]) -> list[Image]:
    """Return one picture a seed, drawn together; each is what its seed alone gives, up to rounding.

    Noise is drawn on the processor, a generator for each picture, so that the same seed is the same picture on every
    device and in every batch.
    """
    pipeline, canvas = easel.pipeline, easel.canvas
    size = size_for(pipeline, settings.width, settings.height, canvas.shape)
    prompt = Prompt(settings.prompt, settings.negative_prompt, _guided(pipeline, settings), easel.overlay)
    for note in prompt_notes(pipeline, prompt):
        easel.tell(note)
    asked = settings.num_inference_steps
    drawing = Drawing(size, asked, canvas.steps(asked), easel.meter, easel.give_way, easel.kept)
    with careful_decoding(pipeline.vae, easel.tell) if hasattr(pipeline, "vae") else nullcontext():
        if canvas.begin is not None and not drawing.steps:
            easel.tell(say("say.no_step_of_strength", strength=canvas.strength, steps=asked))
            images = [_through_the_autoencoder(pipeline, fitted(canvas.begin, size))] * len(seeds)
        else:
            with easel.stepping.over(pipeline, drawing):
                images = _call(easel, settings, seeds, size, told(pipeline, prompt, len(seeds), easel.kept))
    return [canvas.finish(image) for image in images]


def _call(
    easel: Easel, settings: DrawingOptions, seeds: Sequence[int], size: Size, prompt: dict[str, Any]
) -> list[Image]:
    import torch

    arguments = {
        **prompt,
        **easel.canvas.arguments(size),
        "width": size[0],
        "height": size[1],
        "num_inference_steps": settings.num_inference_steps,
        **guidance_arguments(easel.pipeline, settings.guidance_scale),
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        "output_type": "pil",
    }
    with _unfit_in_words(settings.scheduler, easel.pipeline):
        answer = easel.pipeline(**accepted(easel.pipeline, arguments))
    if any(getattr(answer, "nsfw_content_detected", None) or ()):
        easel.tell(say("say.safety_checker"))
    return list(answer.images)


@contextmanager
def _unfit_in_words(scheduler: str, pipeline: Any) -> Iterator[None]:
    """Turn a pipeline's complaint that the scheduler takes no noise levels of its own into a refusal."""
    try:
        yield
    except ValueError as problem:
        if "does not support custom" in str(problem):
            raise unfit(scheduler, flow=learned_flow(pipeline.scheduler)) from problem
        raise


def _guided(pipeline: Any, settings: DrawingOptions) -> bool:
    """Tell whether the model is asked twice a step: not up to 1, nor where it was taught the number itself."""
    unet = getattr(pipeline, "unet", None)
    embedded = getattr(getattr(unet, "config", None), "time_cond_proj_dim", None)
    return settings.guidance_scale > 1 and embedded is None


def _through_the_autoencoder(pipeline: Any, image: Image) -> Image:
    """Return what the autoencoder makes of a picture: at strength 0 nothing else happens to it."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import retrieve_latents

    first = next(pipeline.vae.parameters())
    device = pipeline._execution_device  # noqa: SLF001 under offload there is no other way to know
    pixels = pipeline.image_processor.preprocess(image).to(device, first.dtype)
    latents = retrieve_latents(pipeline.vae.encode(pixels), sample_mode="argmax")
    decoded = pipeline.vae.decode(latents, return_dict=False)[0]
    found: Image = pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
    return found
