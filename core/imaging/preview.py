"""What a picture looks like half-way: a linear map from latents to colours, fitted once from the autoencoder itself.

Decoding each step would take as long as drawing; a map of some dozen numbers takes no time. The same idea as the fixed
factors that other programs keep for known models, found here for whichever autoencoder is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SAMPLES, SIDE = 3, 16
"""Pictures that are decoded for the fit, and their latents a side."""
SMOOTHNESS = (2, 4, 8)
"""Latents a side before they are enlarged to SIDE: broad patches to fine ones, as pictures have both."""
PICTURE, SEQUENCE, VIDEO = 4, 3, 5
"""Dimensions of latents: (batch, channels, height, width), packed (batch, places, values), or with a frame."""


def preview(pipeline: Any, latents: torch.Tensor, size: tuple[int, int], kept: dict[str, Any]) -> Image | None:
    """Return the first picture of the batch, small (one pixel a latent), or None for latents that are not known here.

    `latents`: as the pipeline holds them, without noise as far as can be estimated; `size`: width and height in pixels.
    """
    import torch
    from PIL import Image as Pillow

    plain = _unpacked(pipeline, latents[:1], size)
    vae = getattr(pipeline, "vae", None)
    if plain is None or vae is None or plain.shape[1] != getattr(vae.config, "latent_channels", 0):
        return None
    if "colours" not in kept:
        kept["colours"] = _fitted(pipeline)
    colours = kept["colours"]
    values = plain[0].float().cpu().flatten(1)
    rows = torch.cat([values, torch.ones(1, values.shape[1])]).T @ colours
    pixels = ((rows / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return Pillow.fromarray(pixels.reshape(*plain.shape[2:], 3).numpy())


def _fitted(pipeline: Any) -> torch.Tensor:
    """Return (channels + 1, 3): least squares between latents and the mean colours that the autoencoder gives them."""
    import torch

    latents = _samples(pipeline.vae.config.latent_channels)
    first = next(pipeline.vae.parameters())
    config = pipeline.vae.config
    scaled = latents / getattr(config, "scaling_factor", 1.0) + (getattr(config, "shift_factor", None) or 0.0)
    device = pipeline._execution_device  # noqa: SLF001 under offload there is no other way to know
    decoded = pipeline.vae.decode(scaled.to(device, first.dtype), return_dict=False)[0].float().cpu()
    colours = torch.nn.functional.adaptive_avg_pool2d(decoded, SIDE)
    values = latents.transpose(0, 1).flatten(1)
    rows = torch.cat([values, torch.ones(1, values.shape[1])]).T
    found: torch.Tensor = torch.linalg.lstsq(rows, colours.transpose(0, 1).flatten(1).T).solution
    return found


def _samples(channels: int) -> torch.Tensor:
    """Return (SAMPLES, channels, SIDE, SIDE) of unit spread, always the same."""
    import torch

    generator = torch.Generator("cpu").manual_seed(0)
    parts = [torch.randn(1, channels, side, side, generator=generator) for side in SMOOTHNESS]
    return torch.cat([torch.nn.functional.interpolate(one, size=SIDE, mode="bilinear") for one in parts])


def _unpacked(pipeline: Any, latents: torch.Tensor, size: tuple[int, int]) -> torch.Tensor | None:
    """Return latents as (1, channels, height, width)."""
    if latents.ndim == PICTURE:
        return latents
    if latents.ndim == SEQUENCE and hasattr(pipeline, "_unpack_latents"):
        width, height = size
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)  # noqa: SLF001 no public one
    if latents.ndim == VIDEO and latents.shape[2] == 1:
        latents = latents[:, :, 0]
    return latents if latents.ndim == PICTURE else None
