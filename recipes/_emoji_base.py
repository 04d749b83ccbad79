"""What is trained on top of the finished emoji starter: its parts, frozen, and lessons in its own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from recipes._emoji_autoencoder import encoded
from recipes._emoji_data import Emoji, read_emoji
from recipes._emoji_diffusion import EMPTY_SHARE, Denoise, ExactAttention, Noiser, denoising_loss
from recipes._emoji_loop import Lesson, best_device
from recipes._emoji_measure import load
from recipes._emoji_prompts import prompts
from recipes._emoji_text import token_rows
from recipes._train import Places

BASE = "emoji"


@dataclass(frozen=True)
class Base:
    """The finished starter, and the emoji that it knows."""

    pipeline: StableDiffusionPipeline
    emoji: Emoji

    @classmethod
    def shipped(cls, places: Places) -> Base:
        """Return the one among the shipped starters."""
        folder = places.starters / BASE
        if not folder.exists():
            raise SystemExit(f"{folder} is not there yet: python -m recipes.emoji --data DATA")
        return cls.of(folder, read_emoji(places.data))

    @classmethod
    def of(cls, folder: Path, emoji: Emoji) -> Base:
        """Return the starter in a folder, nothing of it to be trained."""
        pipeline = load(folder)
        for network in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            network.requires_grad_(requires_grad=False)
        pipeline.unet.to(memory_format=torch.channels_last)
        return cls(pipeline, emoji)

    def tokens(self, seed: int) -> torch.Tensor:
        """Return prompts of all emoji, (emoji, prompts, tokens)."""
        asked = prompts(self.emoji, seed)
        texts = [text for row in asked for text in row]
        return token_rows(self.pipeline.tokenizer, texts).unflatten(0, (len(asked), -1)).to(best_device())

    def read(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the text states of prompts."""
        with torch.no_grad():
            return self.pipeline.text_encoder(tokens).last_hidden_state


def exact_on_cpu(network: torch.nn.Module) -> None:
    """Let a network's attention learn fast on a CPU, too."""
    if best_device().type == "cpu":
        network.set_attn_processor(ExactAttention())


def lesson(
    base: Base, drawings: torch.Tensor, batch_size: int, seed: int, denoise_for: Callable[[torch.Tensor], Denoise]
) -> Lesson:
    """Return a lesson in which the emoji look like `drawings` (bytes); `denoise_for` rows gives what is taught."""
    means, deviations = encoded(base.pipeline.vae, drawings)
    tokens, empty = base.tokens(seed), token_rows(base.pipeline.tokenizer, [""])[0].to(means.device)
    noiser = Noiser.on(means.device)

    def taught(generator: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(means), (batch_size,), generator=generator)
        chosen = torch.randint(tokens.shape[1], (batch_size,), generator=generator)
        is_empty = (torch.rand(batch_size, generator=generator) < EMPTY_SHARE).to(means.device)
        states = base.read(torch.where(is_empty[:, None], empty, tokens[rows, chosen]))
        chance = torch.randn(means[rows].shape, generator=generator).to(means.device)
        latents = means[rows] + deviations[rows] * chance
        return denoising_loss(denoise_for(rows), noiser, latents, states, generator)

    return taught
