"""The pipeline that learns, and which of its parts do what: UNet, text encoders, VAE, noise schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.catalogue import ModelSpec
from core.errors import InvalidInput, WrongTask
from core.models.files import ModelFiles
from core.models.pipelines import load_pipeline
from core.placement.planner import Placement

SD, SDXL = "sd", "sdxl"
FAMILIES = {"StableDiffusionPipeline": SD, "StableDiffusionXLPipeline": SDXL}
"""Pipelines that are trained here, by their class."""
ENCODERS = ("text_encoder", "text_encoder_2")
OTHER_NOISE = ("FlowMatch", "EDM")
"""Schedulers whose noise is another than that of DDPM (arXiv 2006.11239), by how their names begin."""


@dataclass(frozen=True)
class PictureParts:
    """A pipeline in float32 on the CPU, and what training must know of it."""

    pipeline: Any
    family: str
    noise_scheduler: Any
    """A DDPMScheduler with the pipeline's own noise."""

    @property
    def unet(self) -> Any:
        """The network that takes the noise away."""
        return self.pipeline.unet

    @property
    def vae(self) -> Any:
        """What turns pictures into latents and back."""
        return self.pipeline.vae

    @property
    def text_encoders(self) -> Mapping[str, Any]:
        """The text encoders by component."""
        found = {name: getattr(self.pipeline, name, None) for name in ENCODERS}
        return {name: one for name, one in found.items() if one is not None}

    @property
    def tokenizers(self) -> tuple[Any, ...]:
        """Their tokenizers, in the same order."""
        return tuple(getattr(self.pipeline, name.replace("text_encoder", "tokenizer")) for name in self.text_encoders)

    @property
    def factor(self) -> int:
        """Pixels to a latent, along a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def networks(self) -> Mapping[str, Any]:
        """Everything that may learn: the UNet and the text encoders."""
        return {"unet": self.unet, **self.text_encoders}

    def resolution(self, wish: int) -> int:
        """Return the pixels a side: the wish, or for 0 the model's own; InvalidInput for one that latents cannot be."""
        if not wish:
            return int(self.unet.config.sample_size) * self.factor
        if wish % self.factor:
            nearest = max(round(wish / self.factor), 1) * self.factor
            raise InvalidInput("error.train_resolution", resolution=wish, factor=self.factor, nearest=nearest)
        return wish


def load_parts(spec: ModelSpec, files: ModelFiles) -> PictureParts:
    """Load the pipeline whole; raises WrongTask for what is not trained here, and what `load_pipeline` raises."""
    index = files.pipeline
    if index is None or index.class_name not in FAMILIES:
        kind = index.class_name if index else "transformers"
        raise WrongTask("error.train_pipeline_unknown", name=spec.name, kind=kind, known=", ".join(FAMILIES))
    pipeline, _ = load_pipeline(spec, files, Placement("cpu", "float32", "sdpa"))
    _refuse_other_inputs(pipeline, spec.name)
    for network in (pipeline.unet, pipeline.vae, *_encoders(pipeline)):
        network.requires_grad_(requires_grad=False)
    return PictureParts(pipeline, FAMILIES[index.class_name], noise_scheduler(pipeline, spec.name))


def noise_scheduler(pipeline: Any, name: str) -> Any:
    """Return the noise a model was made with as training adds it; WrongTask for another kind of noise."""
    import diffusers

    kind = type(pipeline.scheduler).__name__
    if kind.startswith(OTHER_NOISE):
        raise WrongTask("error.train_noise_unknown", name=name, scheduler=kind)
    return diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)


def _refuse_other_inputs(pipeline: Any, name: str) -> None:
    """Refuse a UNet that also reads a mask or a picture: it is not taught by pictures and captions alone."""
    reads, draws = int(pipeline.unet.config.in_channels), int(pipeline.vae.config.latent_channels)
    if reads != draws:
        raise WrongTask("error.train_unet_reads_more", name=name, channels=reads, latents=draws)


def _encoders(pipeline: Any) -> list[Any]:
    return [one for one in (getattr(pipeline, name, None) for name in ENCODERS) if one is not None]
