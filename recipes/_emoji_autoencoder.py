"""The emoji autoencoder: 64 × 64 pixels to 8 × 8 latents of 8 channels and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional

from recipes._emoji_data import SIZE, Alteration, Emoji, altered, as_values, mirrored
from recipes._emoji_loop import Learner, Schedule, Training, best_device, in_parts

CHANNELS = 8
"""Of the latents."""
DIVERGENCE_WEIGHT = 5e-4
EDGE_WEIGHT = 0.5
COARSE = (2, 4)
"""Factors at which drawings are compared once more, so that areas count beside lines."""
TONES_SHARE = 0.3
"""Of a batch: the drawings in other skin tones."""
ALTERED_SHARE = 0.75
"""Of a batch; the rest is seen as it is drawn."""


@dataclass(frozen=True)
class Shape:
    """How wide the autoencoder is, from fine to coarse."""

    widths: tuple[int, ...] = (32, 64, 128, 128)
    groups: int = 8


def new_autoencoder(shape: Shape, seed: int) -> AutoencoderKL:
    """Return an autoencoder with random weights; each further width halves the side."""
    torch.manual_seed(seed)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(shape.widths),
        up_block_types=("UpDecoderBlock2D",) * len(shape.widths),
        block_out_channels=shape.widths,
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=shape.groups,
        sample_size=SIZE,
        scaling_factor=1.0,
        force_upcast=False,
    )


def train_autoencoder(
    emoji: Emoji, tones: torch.Tensor, shape: Shape, schedule: Schedule, folder: Path
) -> tuple[AutoencoderKL, dict[str, Any]]:
    """Train until the last step, then give each latent channel mean 0 and deviation 1 over the emoji."""
    autoencoder = new_autoencoder(shape, schedule.seed).to(best_device(), memory_format=torch.channels_last)
    drawings = as_values(torch.cat([emoji.drawings, tones])).to(autoencoder.device)
    allowed = torch.cat([emoji.may_be_mirrored, torch.ones(len(tones), dtype=torch.bool)])

    def lesson(generator: torch.Generator) -> torch.Tensor:
        rows = _rows(len(emoji), len(tones), schedule.batch_size, generator)
        seen = _as_seen(drawings[rows], allowed[rows], generator)
        return loss(autoencoder, seen.contiguous(memory_format=torch.channels_last), generator)

    facts = Training(Learner(autoencoder, lesson), schedule, folder).run()
    normalise(autoencoder, encoded(autoencoder, emoji.drawings)[0])
    return autoencoder, facts


def _rows(emoji: int, tones: int, count: int, generator: torch.Generator) -> torch.Tensor:
    of_tones = int(count * TONES_SHARE) if tones else 0
    base = torch.randint(emoji, (count - of_tones,), generator=generator)
    return torch.cat([base, emoji + torch.randint(max(tones, 1), (of_tones,), generator=generator)])


def _as_seen(values: torch.Tensor, allowed: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a batch of which most drawings are altered, so that between two emoji there are others."""
    changed = altered(mirrored(values, allowed, generator), Alteration(), generator)
    chosen = (torch.rand(len(values), generator=generator) < ALTERED_SHARE).to(values.device)
    return torch.where(chosen[:, None, None, None], changed, values)


def loss(autoencoder: AutoencoderKL, seen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return how far drawings (n, 3, side, side) come back from themselves, and their latents from plain noise."""
    posterior = autoencoder.encode(seen).latent_dist
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    found = autoencoder.decode((mean + noise * (0.5 * logvar).exp()).to(posterior.mean.dtype)).sample.float()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return difference(found, seen) + DIVERGENCE_WEIGHT * divergence


def difference(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far drawings are apart: their pixels, their edges, and their areas."""
    total = functional.l1_loss(found, wanted)
    for dimension in (2, 3):
        total = total + EDGE_WEIGHT * functional.l1_loss(found.diff(dim=dimension), wanted.diff(dim=dimension))
    for factor in COARSE:
        total = total + functional.l1_loss(functional.avg_pool2d(found, factor), functional.avg_pool2d(wanted, factor))
    return total


@torch.no_grad()
def encoded(autoencoder: AutoencoderKL, drawings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the means and deviations of the latents of drawings (bytes), both (drawings, CHANNELS, 8, 8)."""
    found = [
        autoencoder.encode(as_values(part).to(autoencoder.device, memory_format=torch.channels_last)).latent_dist
        for part in in_parts(drawings)
    ]
    return torch.cat([one.mean for one in found]), torch.cat([one.std for one in found])


@torch.no_grad()
def normalise(autoencoder: AutoencoderKL, means: torch.Tensor) -> None:
    """Let the autoencoder itself give each channel of its latents mean 0 and deviation 1, measured on `means`.

    Stable Diffusion's pipeline knows a single scaling factor; here each channel's own goes into the two 1 × 1
    convolutions around the latents, which changes no picture, and the factor stays 1.
    """
    middle, spread = means.mean(dim=(0, 2, 3)), means.std(dim=(0, 2, 3))
    into, back = autoencoder.quant_conv, autoencoder.post_quant_conv
    assert isinstance(into, nn.Conv2d)
    assert isinstance(back, nn.Conv2d)
    into.weight[:CHANNELS] /= spread[:, None, None, None]
    into.bias[:CHANNELS] = (into.bias[:CHANNELS] - middle) / spread
    into.bias[CHANNELS:] -= 2 * spread.log()
    back.bias += (back.weight[:, :, 0, 0] * middle).sum(dim=1)
    back.weight *= spread[None, :, None, None]


@torch.no_grad()
def reconstructed(autoencoder: AutoencoderKL, drawings: torch.Tensor) -> torch.Tensor:
    """Return what drawings (bytes) become on the way through their latents' means, as values."""
    parts = [as_values(part).to(autoencoder.device) for part in in_parts(drawings)]
    return torch.cat([autoencoder.decode(autoencoder.encode(part).latent_dist.mean).sample.cpu() for part in parts])
