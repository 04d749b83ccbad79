"""The emoji denoiser: a small UNet over 8 × 8 latents, taught together with the text encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import nn
from torch.nn import functional

from recipes._emoji_autoencoder import CHANNELS
from recipes._emoji_loop import Learner, Schedule, Training, best_device
from recipes._emoji_text import Reader, Wording, apart

TIMES = 1000
NAME_SHARE = 0.5
"""Of the prompts: the name alone."""
EMPTY_SHARE = 0.12
"""Of the prompts: left empty, so that guidance has something to lead away from."""
LARGEST_WEIGHT = 5.0
"""Signal-to-noise ratio from which steps weigh no more (min-SNR, Hang et al. 2023)."""
MEANING_WEIGHT = 0.1
"""Of what keeps the text encoder close to MiniLM while it learns with the denoiser."""
NOISE = {
    # Its last step is noise alone, so a picture may begin as noise alone; and with v prediction nothing is divided
    # by what is left of the signal there.
    "beta_schedule": "squaredcos_cap_v2",
    "num_train_timesteps": TIMES,
    "prediction_type": "v_prediction",
}


@dataclass(frozen=True)
class DenoiserShape:
    """How wide the UNet is at 8 × 8 and at 4 × 4, and where it looks at the prompt."""

    widths: tuple[int, ...] = (80, 128)
    down: tuple[str, ...] = ("DownBlock2D", "CrossAttnDownBlock2D")
    up: tuple[str, ...] = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D")
    middle: str | None = "UNetMidBlock2DCrossAttn"
    heads: int = 4
    groups: int = 16


def new_denoiser(shape: DenoiserShape, hidden: int, side: int, seed: int) -> UNet2DConditionModel:
    """Return a UNet with random weights, for text states of width `hidden` and latents of `side` × `side`."""
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=shape.widths,
        layers_per_block=1,
        down_block_types=shape.down,
        mid_block_type=shape.middle,
        up_block_types=shape.up,
        # Of this class it is the number of heads.
        attention_head_dim=shape.heads,
        cross_attention_dim=hidden,
        norm_num_groups=shape.groups,
        use_linear_projection=True,
    )


def new_scheduler() -> DPMSolverMultistepScheduler:
    """Return the scheduler that is shipped: good pictures in 20 steps."""
    return DPMSolverMultistepScheduler(**NOISE, timestep_spacing="trailing", steps_offset=1)


Denoise = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Answers noisy latents, times and text states with a velocity."""


class ExactAttention:
    """Attention in float32: in bfloat16 a CPU's fused attention learns some six times slower."""

    def __call__(
        self,
        attention: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """Return what the plain processor does (sequences without mask, as in this UNet)."""
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        pairs = ((attention.to_q, hidden_states), (attention.to_k, seen), (attention.to_v, seen))
        query, key, value = (_in_heads(layer(states), attention.heads) for layer, states in pairs)
        with torch.autocast(query.device.type, enabled=False):
            found = functional.scaled_dot_product_attention(query, key, value)
        return attention.to_out[0](found.transpose(1, 2).flatten(2))


def _in_heads(states: torch.Tensor, heads: int) -> torch.Tensor:
    return states.unflatten(-1, (heads, -1)).transpose(1, 2).float()


@dataclass(frozen=True)
class Pictures:
    """The emoji as the denoiser sees them: means and deviations of their latents."""

    means: torch.Tensor
    deviations: torch.Tensor

    def sampled(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return latents of these emoji."""
        chance = torch.randn(self.means[rows].shape, generator=generator).to(self.means.device)
        return self.means[rows] + self.deviations[rows] * chance


@dataclass(frozen=True)
class Noiser:
    """Mixes noise into latents, and says what a denoiser should answer, and how much that counts."""

    signal: torch.Tensor
    """Share of the signal (its power) at each time."""

    @classmethod
    def on(cls, device: torch.device) -> Noiser:
        """Return the one that belongs to NOISE."""
        return cls(DDPMScheduler(**NOISE).alphas_cumprod.to(device))

    def mixed(self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return noisy latents, the velocity that leads out of them, and the weight of each (min-SNR)."""
        power = self.signal[times][:, None, None, None]
        noisy = power.sqrt() * latents + (1 - power).sqrt() * noise
        velocity = power.sqrt() * noise - (1 - power).sqrt() * latents
        ratio = power / (1 - power)
        return noisy, velocity, ratio.clamp(max=LARGEST_WEIGHT) / (ratio + 1)


def drawn_times(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return times spread over the whole range, one in each equal part of it, in any order."""
    spread = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return (spread * TIMES).long().clamp(max=TIMES - 1)


def drawn_prompts(words: Wording, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return which prompt of each emoji is used: every second time its name, which is the first."""
    other = torch.randint(1, words.tokens.shape[1], (len(rows),), generator=generator)
    return torch.where(torch.rand(len(rows), generator=generator) < NAME_SHARE, torch.zeros_like(other), other)


@dataclass(frozen=True)
class Lessons:
    """What the denoiser and the reader learn from."""

    pictures: Pictures
    words: Wording
    empty: torch.Tensor
    """Tokens of the empty prompt, (LONGEST,)."""


def train_denoiser(
    denoiser: UNet2DConditionModel, reader: Reader, lessons: Lessons, schedule: Schedule, folder: Path
) -> dict[str, Any]:
    """Teach both, until the last step."""
    device = best_device()
    both = nn.ModuleDict({"denoiser": denoiser, "reader": reader}).to(device)
    denoiser.to(memory_format=torch.channels_last)
    if device.type == "cpu":
        denoiser.set_attn_processor(ExactAttention())
    words, noiser = lessons.words.to(device), Noiser.on(device)
    pictures = Pictures(lessons.pictures.means.to(device), lessons.pictures.deviations.to(device))
    empty = lessons.empty.to(device)

    def denoise(noisy: torch.Tensor, times: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return denoiser(noisy, times, states).sample

    def lesson(generator: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(pictures.means), (schedule.batch_size,), generator=generator)
        chosen = drawn_prompts(words, rows, generator)
        is_empty = (torch.rand(len(rows), generator=generator) < EMPTY_SHARE).to(device)
        tokens = torch.where(is_empty[:, None], empty, words.tokens[rows, chosen])
        states, meaning = reader(tokens)
        wanted = words.meanings[rows, chosen]
        off = denoising_loss(denoise, noiser, pictures.sampled(rows, generator), states, generator)
        return off + MEANING_WEIGHT * apart(meaning[~is_empty], wanted[~is_empty])

    facts = Training(Learner(both, lesson, slow=(reader,)), schedule, folder).run()
    denoiser.set_attn_processor(AttnProcessor2_0())
    return facts


def denoising_loss(
    denoise: Denoise, noiser: Noiser, latents: torch.Tensor, states: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return how far a denoiser's velocity is from the true one, at times and with noise drawn by chance."""
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    times = drawn_times(len(latents), generator).to(latents.device)
    noisy, velocity, weight = noiser.mixed(latents, noise, times)
    found = denoise(noisy.contiguous(memory_format=torch.channels_last), times, states)
    return (weight * (found.float() - velocity).square()).mean()
