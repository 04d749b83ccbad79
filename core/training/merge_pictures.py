"""Merging a pipeline: what its UNet and text encoders answer to fixed noise and words, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.models.pipelines import load_pipeline, networks_of
from core.models.run_files import PICTURE_LORA
from core.training.probes import Answers

if TYPE_CHECKING:
    from core.models.loading import LoadedModel

ENCODERS = ("text_encoder", "text_encoder_2")
TIMES = (1, 500, 900)
SIDE = 8
"""Latents a side; a UNet is convolutional, so any will do."""


@dataclass(frozen=True)
class PictureMerge:
    """One run, of which `model` is the merged form in memory."""

    model: LoadedModel

    def apart(self, texts: Sequence[str]) -> tuple[Answers, Answers]:
        """Return the answers of the base's networks, and of base + adapter."""
        files = self.model.files
        *lower, last = files.adapters
        pipeline, _ = load_pipeline(self.model.spec, replace(files, adapters=tuple(lower)), self.model.placement)
        base = _ask(pipeline, texts)
        pipeline.load_lora_weights(last, weight_name=PICTURE_LORA[0], local_files_only=True, use_safetensors=True)
        return base, _ask(pipeline, texts)

    def save(self, folder: Path) -> None:
        """Write the merged pipeline, its weights laid out as they were before the CPU's own way."""
        import torch

        networks: list[Any] = list(networks_of(self.model.model).values())
        for network in networks:
            network.to(memory_format=torch.contiguous_format)
        self.model.model.save_pretrained(folder, safe_serialization=True)
        for network in networks:
            network.to(memory_format=torch.channels_last)

    def saved(self, folder: Path, texts: Sequence[str]) -> Answers:
        """Return the answers of what was written, as plain diffusers loads it."""
        import diffusers
        import torch

        pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        return _ask(pipeline, texts)


def _ask(pipeline: Any, texts: Sequence[str]) -> list[Any]:
    """Return the outputs of the text encoders for each text, and of the UNet for noise at several times."""
    import torch

    with torch.inference_mode():
        return [*_read(pipeline, texts), *_denoised(pipeline)]


def _read(pipeline: Any, texts: Sequence[str]) -> list[Any]:
    found = []
    for name in ENCODERS:
        encoder = getattr(pipeline, name, None)
        tokenizer = getattr(pipeline, name.replace("text_encoder", "tokenizer"), None)
        if encoder is not None and tokenizer is not None:
            options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
            ids = [tokenizer(text, max_length=tokenizer.model_max_length, **options).input_ids for text in texts]
            found += [encoder(one, output_hidden_states=True).hidden_states[-1].float().flatten() for one in ids]
    return found


def _denoised(pipeline: Any) -> list[Any]:
    import torch

    unet, source = pipeline.unet, torch.Generator().manual_seed(0)
    config = unet.config
    noise = torch.randn(1, config.in_channels, SIDE, SIDE, generator=source)
    states = torch.randn(1, 7, config.cross_attention_dim, generator=source)
    told = _told(config, source)
    return [unet(noise, time, states, added_cond_kwargs=told).sample.float().flatten() for time in TIMES]


def _told(config: Any, source: Any) -> dict[str, Any] | None:
    """Return what the UNet of Stable Diffusion XL is told beside the words."""
    import torch

    if getattr(config, "addition_embed_type", None) != "text_time":
        return None
    times = torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]])
    width = config.projection_class_embeddings_input_dim - times.shape[1] * config.addition_time_embed_dim
    return {"text_embeds": torch.randn(1, width, generator=source), "time_ids": times}
