"""Makes the emoji-lora starter: a LoRA adapter with which the emoji starter draws in black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from recipes import _emoji_measure as measuring
from recipes._card import Card, command
from recipes._emoji_base import Base, exact_on_cpu, lesson
from recipes._emoji_card import APACHE, NOTO, SHEET, Findings, Overlay, record_overlay
from recipes._emoji_data import FOLDER, as_values
from recipes._emoji_diffusion import Denoise
from recipes._emoji_loop import Learner, Schedule, Training
from recipes._measure import score
from recipes._picture_run import PictureRecipe, main
from recipes._train import Places

RANK = 4
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
SCHEDULE = Schedule(steps=800, batch_size=32, learning_rate=2e-3, warmup_steps=50, average_decay=0.99, seed=17)
ASKED = measuring.Asked(prompts=24, each=2)
LEAST_LOSS = 0.5
"""Part of the colour that must be gone; else the adapter is not worth shipping."""

RECIPE = PictureRecipe("emoji-lora", "text-to-image", seed=17)
CARD = Card(
    title="Emoji in black and white",
    summary="A LoRA adapter over `starter/emoji`: it draws the same emoji in shades of grey.",
    sources=(NOTO,),
    license="apache-2.0",
    license_reason=f"The drawings were published as {APACHE} and SIL OFL 1.1; both allow works made from them.",
    limits=(
        "It was trained for minutes, to show and to test what an adapter does; a trace of colour may remain.",
        "It fits `starter/emoji` alone.",
        "What the emoji starter is bad at, it is bad at, too.",
    ),
    example="red heart",
)
USAGE = (
    "from diffusers import StableDiffusionPipeline",
    'pipeline = StableDiffusionPipeline.from_pretrained("assets/starters/emoji")',
    'pipeline.load_lora_weights("assets/starters/emoji-lora")',
    'pipeline("red heart", num_inference_steps=20, guidance_scale=5).images[0].save("heart.png")',
)


def in_grey(drawings: torch.Tensor) -> torch.Tensor:
    """Return drawings (bytes, n, 3, side, side) in shades of grey, as bright as they are to the eye (ITU-R BT.601)."""
    bright = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    return (drawings.float() * bright).sum(dim=1, keepdim=True).round().to(torch.uint8).expand_as(drawings).contiguous()


def train_into(folder: Path, places: Places, steps: int) -> dict[str, Any]:
    """Train the adapter on the finished starter, and save it in diffusers' format."""
    schedule = SCHEDULE.shortened(steps) if steps else SCHEDULE
    return train(folder, places.checkpoints / RECIPE.name, Base.shipped(places), schedule)


def train(folder: Path, work: Path, base: Base, schedule: Schedule) -> dict[str, Any]:
    """Train by a schedule, with checkpoints in `work`."""
    denoiser = base.pipeline.unet
    torch.manual_seed(schedule.seed)
    denoiser.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS)))
    exact_on_cpu(denoiser)

    def denoise_for(_: torch.Tensor) -> Denoise:
        return lambda noisy, times, states: denoiser(noisy, times, states).sample

    taught = lesson(base, in_grey(base.emoji.drawings), schedule.batch_size, schedule.seed, denoise_for)
    facts = Training(Learner(denoiser, taught), schedule, work / "adapter").run()
    # Under peft's own names: in the older ones of diffusers the attention's layers are not found again.
    weights = get_peft_model_state_dict(denoiser)
    halves = {name: tensor.half().cpu().contiguous() for name, tensor in weights.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=halves)
    return facts | {"settings": asdict(schedule)}


def measure(folder: Path, places: Places, _: Path) -> Findings:
    """Draw without the adapter and with it, and print how much colour is left."""
    return compare(folder, Base.shipped(places))


def compare(folder: Path, base: Base, asked: measuring.Asked = ASKED) -> Findings:
    """Draw the same prompts with the same seeds on both sides."""
    names = [base.emoji.names[row] for row in measuring.chosen(base.emoji, asked)]
    without = measuring.drawn(base.pipeline, names, asked)
    base.pipeline.load_lora_weights(folder)
    there = measuring.drawn(base.pipeline, names, asked)
    base.pipeline.unload_lora_weights()
    sides = {"with the adapter": there, "without it": without, "real emoji": as_values(base.emoji.drawings)}
    found = [
        score("colourfulness", FOLDER, "base", colourfulness(values).tolist(), f"{name}; 0 is grey")
        for name, values in sides.items()
    ]
    for row in found:
        print(f"{row.name} {row.value} {list(row.ci95)} n={row.n} {row.note}")
    pairs = zip(without[:: asked.each], there[:: asked.each], strict=True)
    return Findings(found, list(zip(names, pairs, strict=True)))


def colourfulness(values: torch.Tensor) -> torch.Tensor:
    """Return how far the strongest colour of a pixel is above its weakest, on average, 0 to 1, (drawings,)."""
    return ((values.amax(dim=1) - values.amin(dim=1)) / 2).mean(dim=(1, 2))


def record(folder: Path, findings: Findings, training: Mapping[str, Any]) -> None:
    """Write metrics.json, the sheet and the card."""
    shown = (
        f"{ASKED.prompts} names drawn with seed {ASKED.seed}, each with seed 0 without the adapter and with it."
        f"\n\n![]({SHEET})"
    )
    record_overlay(folder, Overlay(RECIPE, CARD, USAGE, "lora", ASKED, 6, shown, _told), findings, training)


def _told(metrics: Mapping[str, Any]) -> str:
    training = metrics["training"]
    return (
        f"{training['parameters']:,} parameters of rank {RANK} beside the attention, the feed-forward layers and the "
        f"convolutions of the denoiser, stored in half precision. Made by `{command(metrics)}` with seed "
        f"{metrics['seed']}: {training['steps']:,} steps of {training['settings']['batch_size']} emoji in "
        f"{training['seconds'] / 60:.0f} minutes; everything else was frozen."
    )


def refusal(measurements: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why the adapter is not worth shipping."""
    there, without = (row["value"] for row in measurements[:2])
    return f"{there} of colour remains of {without}." if there > (1 - LEAST_LOSS) * without else None


if __name__ == "__main__":
    main(RECIPE.name)
