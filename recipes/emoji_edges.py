"""Makes the emoji-edges starter: a small ControlNet with which the emoji starter follows the edges of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

from recipes import _emoji_measure as measuring
from recipes._card import Card, command
from recipes._emoji_base import Base, exact_on_cpu, lesson
from recipes._emoji_card import APACHE, NOTO, SHEET, Findings, Overlay, record_overlay
from recipes._emoji_data import FOLDER, as_bytes
from recipes._emoji_diffusion import Denoise
from recipes._emoji_loop import Learner, Schedule, Training, best_device
from recipes._measure import score
from recipes._picture_run import PictureRecipe, main
from recipes._train import Places

THRESHOLDS = (100, 200)
"""Of Canny, as the app's own defaults are."""
NEAR = 2
"""Pixels up to which an edge is where it was asked for."""
HINT_WIDTHS = (16, 32, 64, 96)
SCHEDULE = Schedule(steps=2000, batch_size=32, learning_rate=5e-4, warmup_steps=100, average_decay=0.998, seed=18)
ASKED = measuring.Asked(prompts=24, each=2)
LEAST_GAIN = 0.05
"""Of the edges; with less it does not lead, and is not worth shipping."""
LEADING = "a drawing"
"""The prompt that names nothing, so that only the edges lead."""

RECIPE = PictureRecipe("emoji-edges", "text-to-image", seed=18)
CARD = Card(
    title="Edges to emoji",
    summary="A ControlNet for `starter/emoji`: what it draws follows the edges of a picture.",
    sources=(NOTO,),
    license="apache-2.0",
    license_reason=f"The drawings were published as {APACHE} and SIL OFL 1.1; both allow works made from them.",
    limits=(
        "It was trained for minutes, to show and to test what a ControlNet does; thin lines are followed loosely.",
        "It fits `starter/emoji` alone, and knows edges as Canny finds them, white on black.",
        "It has seen the edges of emoji only: those of a photograph lead it nowhere in particular.",
    ),
    example="red heart",
)
USAGE = (
    "from diffusers import ControlNetModel, StableDiffusionControlNetPipeline",
    "from diffusers.utils import load_image",
    'network = ControlNetModel.from_pretrained("assets/starters/emoji-edges")',
    'pipeline = StableDiffusionControlNetPipeline.from_pretrained("assets/starters/emoji", controlnet=network)',
    'edges = load_image("edges.png")  # 64 × 64, white on black',
    'pipeline("red heart", edges, num_inference_steps=20, guidance_scale=5).images[0].save("heart.png")',
)


def edges_of(drawings: torch.Tensor) -> torch.Tensor:
    """Return Canny's edges of drawings (bytes, n, 3, side, side) as 0 and 1, (n, 1, side, side)."""
    pictures = drawings.permute(0, 2, 3, 1).numpy()
    found = [cv2.Canny(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), *THRESHOLDS) for one in pictures]
    return torch.from_numpy(np.stack(found))[:, None].float() / 255


def new_network(base: Base, seed: int) -> ControlNetModel:
    """Return a ControlNet that begins as the denoiser's own first half, and leads nowhere yet."""
    torch.manual_seed(seed)
    network = ControlNetModel.from_unet(
        base.pipeline.unet, conditioning_channels=3, conditioning_embedding_out_channels=HINT_WIDTHS
    )
    network.requires_grad_(requires_grad=True)
    return network.to(best_device(), memory_format=torch.channels_last)


def train_into(folder: Path, places: Places, steps: int) -> dict[str, Any]:
    """Train the network on the finished starter, and save it."""
    schedule = SCHEDULE.shortened(steps) if steps else SCHEDULE
    return train(folder, places.checkpoints / RECIPE.name, Base.shipped(places), schedule)


def train(folder: Path, work: Path, base: Base, schedule: Schedule) -> dict[str, Any]:
    """Train by a schedule, with checkpoints in `work`."""
    network, denoiser = new_network(base, schedule.seed), base.pipeline.unet
    exact_on_cpu(network)
    exact_on_cpu(denoiser)
    hints = edges_of(base.emoji.drawings).expand(-1, 3, -1, -1).to(best_device())

    def denoise_for(rows: torch.Tensor) -> Denoise:
        def denoise(noisy: torch.Tensor, times: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
            *downs, middle = _led(network, noisy, times, states, hints[rows])
            return denoiser(
                noisy,
                times,
                states,
                down_block_additional_residuals=downs,
                mid_block_additional_residual=middle,
            ).sample

        return denoise

    taught = lesson(base, base.emoji.drawings, schedule.batch_size, schedule.seed, denoise_for)
    facts = Training(Learner(network, taught), schedule, work / "network").run()
    network.half().to("cpu", memory_format=torch.contiguous_format).save_pretrained(folder)
    return facts | {"settings": asdict(schedule)}


def _led(network: ControlNetModel, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    downs, middle = network(*inputs, return_dict=False)
    return (*downs, middle)


def measure(folder: Path, places: Places, _: Path) -> Findings:
    """Draw without edges and with them, and print how many of them are where they were asked for."""
    return compare(folder, Base.shipped(places))


def compare(folder: Path, base: Base, asked: measuring.Asked = ASKED) -> Findings:
    """Draw the chosen emoji by name and by no name, the same seeds with edges and without."""
    rows = measuring.chosen(base.emoji, asked)
    names = [base.emoji.names[row] for row in rows]
    hints = edges_of(base.emoji.drawings[rows])
    network = ControlNetModel.from_pretrained(folder).to(best_device())
    pipeline = StableDiffusionControlNetPipeline.from_pipe(base.pipeline, controlnet=network)
    pipeline.set_progress_bar_config(disable=True)
    found, shown = [], []
    for prompts, what in ((names, "by name"), ([LEADING] * len(names), "by no name")):
        for led in (True, False):
            drawings = _drawn(pipeline, (prompts, hints), asked, strength=float(led))
            recalls = edge_recall(drawings, hints.repeat_interleave(asked.each, dim=0))
            way = "with the edges" if led else "without them"
            found.append(score("edge_recall", FOLDER, "base", recalls.tolist(), f"{way}, {what}"))
            shown.append(drawings[:: asked.each])
            print(f"edge_recall {found[-1].value} {list(found[-1].ci95)} {found[-1].note}")
    pictures = zip(hints.expand(-1, 3, -1, -1) * 2 - 1, shown[1], shown[0], strict=True)
    return Findings(found, list(zip(names, pictures, strict=True)))


def _drawn(
    pipeline: StableDiffusionControlNetPipeline,
    wanted: tuple[Sequence[str], torch.Tensor],
    asked: measuring.Asked,
    strength: float,
) -> torch.Tensor:
    found = []
    for prompt, hint in zip(*wanted, strict=True):
        found.append(
            pipeline(
                prompt,
                hint[None].expand(-1, 3, -1, -1),
                num_inference_steps=asked.steps,
                guidance_scale=asked.guidance,
                num_images_per_prompt=asked.each,
                controlnet_conditioning_scale=strength,
                generator=[torch.Generator().manual_seed(seed) for seed in range(asked.each)],
                output_type="pt",
            ).images
        )
    return torch.cat(found).float().cpu() * 2 - 1


def edge_recall(drawings: torch.Tensor, hints: torch.Tensor) -> torch.Tensor:
    """Return which part of the asked edges (n, 1, side, side) has an edge of the drawing near it, (drawings,)."""
    found = torch.nn.functional.max_pool2d(edges_of(as_bytes(drawings)), 2 * NEAR + 1, stride=1, padding=NEAR)
    return (found * hints).sum(dim=(1, 2, 3)) / hints.sum(dim=(1, 2, 3)).clamp(min=1)


def record(folder: Path, findings: Findings, training: Mapping[str, Any]) -> None:
    """Write metrics.json, the sheet and the card."""
    shown = (
        f"{ASKED.prompts} names drawn with seed {ASKED.seed}, each as its edges, drawn by name without them, and with "
        f"them (seed 0).\n\n![]({SHEET})\n\n`edge_recall` is the part of the asked edges that has an edge of the "
        f"drawing within {NEAR} pixels; “by no name” all prompts are “{LEADING}”."
    )
    record_overlay(folder, Overlay(RECIPE, CARD, USAGE, "controlnet", ASKED, 5, shown, _told), findings, training)


def _told(metrics: Mapping[str, Any]) -> str:
    training = metrics["training"]
    return (
        f"A ControlNetModel of {training['parameters']:,} parameters that began as the first half of the starter's "
        f"denoiser, stored in half precision. Made by `{command(metrics)}` with seed {metrics['seed']}: "
        f"{training['steps']:,} steps of {training['settings']['batch_size']} emoji in "
        f"{training['seconds'] / 60:.0f} minutes; the starter itself was frozen."
    )


def refusal(measurements: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why the network is not worth shipping."""
    led, free = (row["value"] for row in measurements[2:4])
    return f"edge_recall {led} beside {free} without the edges." if led < free + LEAST_GAIN else None


if __name__ == "__main__":
    main(RECIPE.name)
