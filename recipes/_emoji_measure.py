"""Measures the emoji starter: does a classifier that learned the real emoji recognise what is drawn?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import nn
from torch.nn import functional

from recipes._emoji_autoencoder import reconstructed
from recipes._emoji_data import FOLDER, SIZE, Alteration, Emoji, altered, as_values
from recipes._emoji_loop import Learner, Schedule, Training, best_device, in_parts
from recipes._measure import Measurement, score

SAME_WITHIN = 0.02
"""Mean difference of two drawings, of 1 for black to white, up to which nobody could say which was asked for."""
LEARNED = Alteration(shift=0.06, scale=0.1, brightness=0.06, contrast=0.06, tint=0.06)
"""How drawings vary while the classifier learns them; colours little, for hearts differ in nothing else."""
NOISE = 0.05


@dataclass(frozen=True)
class Asked:
    """What is drawn to be measured."""

    prompts: int = 100
    each: int = 5
    steps: int = 20
    guidance: float = 5.0
    seed: int = 20
    """Draws the names; picture k of every prompt has seed k."""


class Classifier(nn.Sequential):
    """A small convolutional network that tells which emoji a drawing shows."""

    def __init__(self, classes: int, width: int = 32) -> None:
        """Make one with random weights."""
        channels = (3, width, 2 * width, 4 * width, 8 * width)
        layers = [
            layer
            for before, after in pairwise(channels)
            for layer in (
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
        ]
        # Where something stands matters: hands and arrows differ in nothing else.
        super().__init__(*layers, nn.Flatten(), nn.Linear(channels[-1] * (SIZE // 16) ** 2, 256), nn.ReLU(),
                         nn.Linear(256, classes))  # fmt: skip


def train_classifier(emoji: Emoji, schedule: Schedule, folder: Path) -> Classifier:
    """Teach a classifier the real emoji, each drawn a little differently every time."""
    torch.manual_seed(schedule.seed)
    classifier = Classifier(len(emoji)).to(best_device(), memory_format=torch.channels_last)
    values = as_values(emoji.drawings).to(best_device())

    def lesson(generator: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(emoji), (schedule.batch_size,), generator=generator)
        seen = varied(values[rows], generator).contiguous(memory_format=torch.channels_last)
        return functional.cross_entropy(classifier(seen).float(), rows.to(seen.device))

    Training(Learner(classifier, lesson), schedule, folder).run()
    return settled(classifier, values, schedule)


@torch.no_grad()
def settled(classifier: Classifier, values: torch.Tensor, schedule: Schedule) -> Classifier:
    """Return the classifier with normalisation counted anew for its averaged weights."""
    for layer in classifier:
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    classifier.train()
    generator = torch.Generator().manual_seed(schedule.seed)
    for _ in range(10):
        rows = torch.randint(len(values), (128,), generator=generator)
        classifier(varied(values[rows], generator))
    return classifier.eval()


def varied(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return drawings moved, coloured, half of them blurred, and all with some noise."""
    found = altered(values, LEARNED, generator)
    blurred = functional.avg_pool2d(functional.pad(found, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(len(values), 1, 1, 1, generator=generator).round().to(values.device)
    noise = torch.randn(values.shape, generator=generator).to(values.device)
    return share * blurred + (1 - share) * found + NOISE * noise


@torch.no_grad()
def ranks(classifier: Classifier, values: torch.Tensor, right: Sequence[Sequence[int]]) -> list[int]:
    """Return at which place (0 = first) the classifier sees the best of each drawing's right emoji, among all."""
    parts = [classifier(part.to(next(classifier.parameters()).device)).float().cpu() for part in in_parts(values)]
    return [_rank(row, wanted) for row, wanted in zip(torch.cat(parts), right, strict=True)]


def _rank(scores: torch.Tensor, right: Sequence[int]) -> int:
    """Return how many emoji that are not right have a higher score than the best right one."""
    wrong = torch.ones(len(scores), dtype=torch.bool)
    wrong[list(right)] = False
    return int((scores[wrong] > scores[list(right)].max()).sum())


def look_alikes(emoji: Emoji) -> list[list[int]]:
    """Return for each emoji those whose drawings are the same to the eye, itself among them."""
    flat = emoji.drawings.flatten(1).float() / 255
    return [
        (torch.cdist(row[None], flat, p=1)[0] / flat.shape[1] <= SAME_WITHIN).nonzero()[:, 0].tolist() for row in flat
    ]


def chosen(emoji: Emoji, asked: Asked) -> list[int]:
    """Return which emoji are asked for, drawn by the seed."""
    return random.Random(asked.seed).sample(range(len(emoji)), min(asked.prompts, len(emoji)))  # noqa: S311


def drawn(pipeline: StableDiffusionPipeline, prompts: Sequence[str], asked: Asked) -> torch.Tensor:
    """Return `each` drawings of each prompt, one prompt after the other, as values (drawings, 3, side, side)."""
    found = []
    for prompt in prompts:
        # Each seed has its own generator on the CPU, so a drawing is the same alone, in any batch, on any device.
        generators = [torch.Generator().manual_seed(seed) for seed in range(asked.each)]
        found.append(
            pipeline(
                prompt,
                num_inference_steps=asked.steps,
                guidance_scale=asked.guidance,
                num_images_per_prompt=asked.each,
                generator=generators,
                output_type="pt",
            ).images
        )
    return torch.cat(found).float().cpu() * 2 - 1


def load(folder: Path) -> StableDiffusionPipeline:
    """Load a saved pipeline as anybody does."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(best_device())


def measured(
    pipeline: StableDiffusionPipeline, emoji: Emoji, classifier: Classifier, asked: Asked
) -> tuple[list[Measurement], torch.Tensor]:
    """Return the scores, and the drawings that they were computed from."""
    rows = chosen(emoji, asked)
    drawings = drawn(pipeline, [emoji.names[row] for row in rows], asked)
    return [
        *recognition(classifier, emoji, drawings, rows, asked),
        *upper_bound(classifier, emoji, pipeline.vae),
        score("mean_absolute_error", FOLDER, "base", reconstruction_errors(pipeline.vae, emoji).tolist(),
              "autoencoder, all emoji, on −1…1; lower is better"),
    ], drawings  # fmt: skip


def recognition(
    classifier: Classifier, emoji: Emoji, drawings: torch.Tensor, rows: Sequence[int], asked: Asked
) -> list[Measurement]:
    """Return how often the classifier finds what was asked for; an interval is over prompts, not over drawings."""
    alike = look_alikes(emoji)
    wanted = [row for row in rows for _ in range(asked.each)]
    strict = ranks(classifier, drawings, [[row] for row in wanted])
    lenient = ranks(classifier, drawings, [alike[row] for row in wanted])
    many = f"{len(rows)} names × {asked.each} drawings among {len(emoji):,} names"
    doubles = sum(len(alike[row]) > 1 for row in rows)
    return [
        _within("top1", strict, 1, asked.each, f"exact name: {many}"),
        _within("top5", strict, 5, asked.each, f"exact name: {many}"),
        _within("top1", lenient, 1, asked.each, f"name or look-alike: {doubles} of the {len(rows)} have any"),
        _within("top5", lenient, 5, asked.each, f"name or look-alike: {doubles} of the {len(rows)} have any"),
    ]


def _within(name: str, found: Sequence[int], first: int, each: int, note: str) -> Measurement:
    hits = torch.tensor([rank < first for rank in found]).float().unflatten(0, (-1, each)).mean(dim=1)
    return score(name, FOLDER, "base", hits.tolist(), note)


def upper_bound(classifier: Classifier, emoji: Emoji, autoencoder: AutoencoderKL) -> list[Measurement]:
    """Return how often the classifier recognises real emoji, as drawn and through the autoencoder."""
    right = [[row] for row in range(len(emoji))]
    sides = {
        "real drawings": as_values(emoji.drawings),
        "real drawings through the autoencoder": reconstructed(autoencoder, emoji.drawings),
    }
    return [
        score("top1", FOLDER, "base", [rank == 0 for rank in ranks(classifier, values, right)], f"{name}: upper bound")
        for name, values in sides.items()
    ]


def reconstruction_errors(autoencoder: AutoencoderKL, emoji: Emoji) -> torch.Tensor:
    """Return how far each emoji comes back from itself, on −1…1."""
    return (reconstructed(autoencoder, emoji.drawings) - as_values(emoji.drawings)).abs().mean(dim=(1, 2, 3))
