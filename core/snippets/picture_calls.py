"""The call that draws a picture, and what is done to the pictures that it begins with: a piece of code a kind."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from core.imaging.conditions import SCRIBBLE_LINE, SCRIBBLE_SIDE
from core.imaging.options import DrawingOptions
from core.imaging.sizes import Size
from core.imaging.uploads import PAINTED
from core.models.pipeline_tasks import pipeline_class
from core.provenance import Provenance
from core.snippets.origin import Place, base_of_trained, file_of, place_of
from core.snippets.picture_size import drawn_at
from core.snippets.source import Code, call, code, literal

CONDITION_FILE = "condition.png"
"""What a ControlNet was shown lies beside its pictures under this name."""
PIL = "PIL:Image PIL:ImageOps diffusers.utils:load_image"


@dataclass(frozen=True)
class PictureCode:
    """One picture of a result, and the request that it belongs to; `kind` is the task's name in the catalogue."""

    kind: str
    request: DrawingOptions
    """With the seed that was drawn."""
    picture: Any
    """The settings that give this picture alone, a dataclass of the kind."""
    size: Size
    """Width and height in pixels."""
    provenance: Provenance

    @property
    def place(self) -> Place:
        """Where the model came from; for what was trained here, what it stands on."""
        if self.provenance.lineage:
            return base_of_trained(self.provenance)[0]
        return place_of(self.provenance.model, self.provenance.revision)

    @property
    def canvas(self) -> Size:
        """The size that the model is asked for: an inpainted picture is made as large as the upload afterwards."""
        asked = self.picture.width or self.picture.height
        return self.size if asked or self.kind != "inpainting" else drawn_at(self.place, self.size)


def drawing(it: PictureCode) -> list[Code]:
    """Write the code that ends with `image`."""
    return _DRAWINGS[it.kind](it)


def _text_to_image(it: PictureCode) -> list[Code]:
    return [_called(it)]


def _image_to_image(it: PictureCode) -> list[Code]:
    before = code(PIL, f"original = {_fitted(_loaded(it, 'image'), it.canvas)}")
    return [before, _begun(it, "original")]


def _inpainting(it: PictureCode) -> list[Code]:
    before = code(
        PIL,
        f"picture = {_loaded(it, 'image')}",
        f"original = {_fitted('picture', it.canvas)}",
        f"mask = ImageOps.exif_transpose(Image.open({_file(it, 'mask')}))",
        'alpha = mask.convert("RGBA").getchannel("A")',
        'mask = mask.convert("L") if alpha.getextrema() == (255, 255) else alpha  # painted on transparency',
        f"mask = mask.resize(picture.size).point(lambda grey: 255 if grey >= {PAINTED} else 0)",
    )
    return [before, _begun(it, "original", mask_image=_fitted("mask", it.canvas)), _laid_into(it)]


def _laid_into(it: PictureCode) -> Code:
    """Write how black places keep their pixels and the edge of white ones fades."""
    return code(
        "PIL:ImageChops PIL:ImageFilter",
        f"whole = {_fitted('mask', it.size)}",
        f"soft = ImageChops.darker(whole, whole.filter(ImageFilter.GaussianBlur({it.picture.mask_blur})))",
        f"drawn = image.resize({it.size}, Image.Resampling.LANCZOS)",
        f"image = Image.composite(drawn, {_fitted('picture', it.size)}, soft)",
    )


def _controlnet(it: PictureCode) -> list[Code]:
    settings = it.picture
    told = {
        "controlnet_conditioning_scale": literal(settings.controlnet_conditioning_scale),
        "control_guidance_start": literal(settings.control_guidance_start),
        "control_guidance_end": literal(settings.control_guidance_end),
    }
    condition = _CONDITIONS.get(settings.condition, _shown)(it)
    return [condition, _called(it, image=_fitted("condition", it.canvas), **told)]


def _canny(it: PictureCode) -> Code:
    return code(
        f"{PIL} cv2 numpy",
        f"picture = {_loaded(it, 'image')}",
        f"condition = Image.fromarray({_edges(it, 'picture')})",
        'condition = condition.convert("RGB")',
    )


def _scribble(it: PictureCode) -> Code:
    return code(
        f"{PIL} PIL:ImageFilter cv2 numpy",
        f"picture = {_loaded(it, 'image')}",
        "small = picture.copy()",
        f"small.thumbnail(({SCRIBBLE_SIDE}, {SCRIBBLE_SIDE}))",
        f"edges = Image.fromarray({_edges(it, 'small')})",
        f'lines = edges.convert("RGB").filter(ImageFilter.MaxFilter({SCRIBBLE_LINE}))',
        "condition = lines.resize(picture.size, Image.Resampling.NEAREST)",
    )


def _as_is(it: PictureCode) -> Code:
    return code(PIL, f"condition = {_loaded(it, 'image')}")


def _shown(_: PictureCode) -> Code:
    return code(
        PIL,
        "# what the ControlNet was shown lies beside the result",
        f"condition = load_image({literal(CONDITION_FILE)})",
    )


def _edges(it: PictureCode, name: str) -> str:
    limits = f"{it.picture.low_threshold}, {it.picture.high_threshold}"
    return f'cv2.Canny(numpy.asarray({name}.convert("L")), {limits})'


def _begun(it: PictureCode, original: str, **arguments: str) -> Code:
    """Write a call that begins with a picture; without a step to draw, only the autoencoder looks at it."""
    if int(it.picture.num_inference_steps * it.picture.strength):
        return _called(it, image=original, **arguments, strength=literal(it.picture.strength))
    return code(
        "torch",
        "# so little strength leaves no step to draw: only the autoencoder looks at the picture",
        "with torch.inference_mode():",
        f"    pixels = pipeline.image_processor.preprocess({original})",
        "    latents = pipeline.vae.encode(pixels.to(pipeline.device, pipeline.vae.dtype)).latent_dist.mode()",
        "    decoded = pipeline.vae.decode(latents).sample",
        "image = pipeline.image_processor.postprocess(decoded)[0]",
    )


def _called(it: PictureCode, **arguments: str) -> Code:
    """Write the call; noise is drawn on the processor, whatever the device, so that a seed is the same everywhere."""
    settings, (width, height) = it.picture, it.canvas
    negative = settings.negative_prompt
    usual = {
        "prompt": literal(settings.prompt),
        **({"negative_prompt": literal(negative)} if negative.strip() else {}),
        **arguments,
        "num_inference_steps": literal(settings.num_inference_steps),
        "guidance_scale": literal(settings.guidance_scale),
        "width": literal(width),
        "height": literal(height),
        "generator": f'torch.Generator("cpu").manual_seed({settings.seed})',
    }
    return code("torch", call("image = pipeline", **_accepted(it, usual)) + ".images[0]")


def _accepted(it: PictureCode, arguments: Mapping[str, str]) -> dict[str, str]:
    """Keep what this family's pipeline takes; some name a ControlNet's picture differently, or ask no size."""
    takes = _parameters(it)
    if it.kind == "controlnet" and "control_image" in takes and "controlnet_conditioning_scale" in takes:
        arguments = {"control_image" if name == "image" else name: value for name, value in arguments.items()}
    return {name: value for name, value in arguments.items() if not takes or name in takes}


def _parameters(it: PictureCode) -> Collection[str]:
    """Return what a call of the pipeline takes that AutoPipeline makes of this model; empty if its index is gone."""
    file = file_of(it.place, "model_index.json")
    if file is None:
        return ()
    made = pipeline_class(it.kind, json.loads(file.read_text(encoding="utf-8"))["_class_name"])
    return inspect.signature(made.__call__).parameters if made else ()


def _loaded(it: PictureCode, name: str) -> str:
    return f"load_image({_file(it, name)})"


def _file(it: PictureCode, name: str) -> str:
    return literal(PurePath(getattr(it.picture, name)).name)


def _fitted(name: str, size: Size) -> str:
    """Write how a picture gets this size, its middle where the proportions differ."""
    return f"ImageOps.fit({name}, {size}, Image.Resampling.LANCZOS)"


_CONDITIONS: Mapping[str, Callable[[PictureCode], Code]] = {"canny": _canny, "scribble": _scribble, "as_is": _as_is}
_DRAWINGS: Mapping[str, Callable[[PictureCode], list[Code]]] = {
    "text-to-image": _text_to_image,
    "image-to-image": _image_to_image,
    "inpainting": _inpainting,
    "controlnet": _controlnet,
}
