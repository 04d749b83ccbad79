"""Makes the emoji starter: a small Stable Diffusion pipeline, trained from its first weights, that draws emoji.

Stages: tokenizer, text encoder (taught by MiniLM), autoencoder, latents, denoiser, export, measuring, card. Each goes
on where a kill left it. A GPU is used if there is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, logging

from recipes import _emoji_measure as measuring
from recipes._card import Card, Making, as_rows, command, write_card, write_metrics
from recipes._emoji_autoencoder import Shape, encoded, train_autoencoder
from recipes._emoji_card import APACHE, MINILM, NOTO, SHEET, WORDS_SHEET, as_image, save_sheet, sheet
from recipes._emoji_data import Emoji, as_values, read_emoji, read_skin_tones
from recipes._emoji_diffusion import (
    DenoiserShape,
    Lessons,
    Pictures,
    new_denoiser,
    new_scheduler,
    train_denoiser,
)
from recipes._emoji_loop import Schedule
from recipes._emoji_text import (
    Reader,
    TextShape,
    distil,
    new_text_encoder,
    new_tokenizer,
    token_rows,
    wording,
)
from recipes._measure import Measurement
from recipes._picture_run import PictureRecipe, main
from recipes._train import Places

TOP5_AT_LEAST = 0.3
"""Less is not worth shipping."""
FREE_PROMPTS = (
    "red heart",
    "pizza",
    "cat face",
    "A cat wearing sunglasses",
    "a big yellow smile",
    "a house with a garden",
    "snow on a mountain",
    "birthday party",
    "someone riding a bike",
    "a spaceship",
    "hot soup",
    "a scary monster",
)
"""Shown beside the measured ones; most are no emoji's name."""

RECIPE = PictureRecipe("emoji", "text-to-image")
CARD = Card(
    title="Emoji",
    summary="Draws emoji from words, 64 × 64 pixels on white.",
    sources=(NOTO,),
    license="apache-2.0",
    license_reason=f"The drawings were published as {APACHE} and SIL OFL 1.1; both allow works made from them.",
    limits=(
        "It draws the emoji it was trained on from memory; anything else becomes the nearest one, or a mixture.",
        "Clock faces, letters, numbers, and men, women and persons of one occupation are easily confused.",
        "64 × 64 pixels; other sizes work, but were never trained.",
        "English words only; a prompt is cut after 22 tokens.",
        "There is no safety checker: emoji are all it has seen, and no checker was made to judge 64 pixels.",
    ),
    example="red heart",
)


@dataclass(frozen=True)
class Plan:
    """Everything that, with the data, decides the starter's weights."""

    text: TextShape
    autoencoder: Shape
    denoiser: DenoiserShape
    teach_text: Schedule
    teach_autoencoder: Schedule
    teach_denoiser: Schedule
    teach_classifier: Schedule
    asked: measuring.Asked
    emoji: int = 0
    """0 = all; a try takes fewer."""

    def shortened(self, steps: int) -> Plan:
        """Return a plan that shows in a minute whether everything fits together."""
        return replace(
            self,
            text=TextShape(vocabulary=1200, common_words=300, phrases=100),
            teach_text=self.teach_text.shortened(steps),
            teach_autoencoder=self.teach_autoencoder.shortened(steps),
            teach_denoiser=self.teach_denoiser.shortened(steps),
            teach_classifier=self.teach_classifier.shortened(steps),
            asked=measuring.Asked(prompts=4, each=2, steps=3),
            emoji=48,
        )

    def known(self, data: Path) -> Emoji:
        """Return the emoji it is about."""
        emoji = read_emoji(data)
        return emoji.first(self.emoji) if self.emoji else emoji


FULL = Plan(
    text=TextShape(),
    autoencoder=Shape(),
    denoiser=DenoiserShape(),
    teach_text=Schedule(steps=1500, batch_size=192, learning_rate=1e-3, seed=13),
    teach_autoencoder=Schedule(
        steps=3000, batch_size=16, learning_rate=1e-3, average_decay=0.998, weight_decay=0.0, seed=14
    ),
    teach_denoiser=Schedule(
        steps=14_000, batch_size=64, learning_rate=1e-3, warmup_steps=500, average_decay=0.9995, seed=15
    ),
    teach_classifier=Schedule(
        steps=2500, batch_size=64, learning_rate=2e-3, average_decay=0.99, weight_decay=0.02, seed=16
    ),
    asked=measuring.Asked(),
)


@dataclass(frozen=True)
class Findings:
    """What was measured of a starter as saved, and what it drew, unselected."""

    measurements: Sequence[Measurement]
    rows: Sequence[tuple[str, Sequence[torch.Tensor]]]
    """The asked names, each with the real drawing and the drawing of the first seed."""
    free: Sequence[tuple[str, Sequence[torch.Tensor]]]
    asked: measuring.Asked


def plan(steps: int) -> Plan:
    """Return the recipe's plan, or one of at most so many steps of each part."""
    return FULL.shortened(steps) if steps else FULL


def train_into(folder: Path, places: Places, steps: int) -> dict[str, Any]:
    """Train everything, and save the pipeline; returns what the card tells of the training."""
    return train(folder, places.checkpoints / RECIPE.name, places.data, plan(steps))


def train(folder: Path, work: Path, data: Path, how: Plan) -> dict[str, Any]:
    """Train by a plan, with checkpoints in `work`."""
    logging.disable_progress_bar()
    emoji = how.known(data)
    tokenizer = _tokenizer(work / "tokenizer", emoji, how.text)
    words = wording(emoji, tokenizer, how.text, RECIPE.seed, work / "text" / "meanings.safetensors")
    reader = Reader(new_text_encoder(tokenizer, how.text, how.teach_text.seed))
    facts = {"text encoder, taught by MiniLM": distil(reader, words, how.teach_text, work / "text")}
    autoencoder, facts["autoencoder"] = train_autoencoder(
        emoji, read_skin_tones(data), how.autoencoder, how.teach_autoencoder, work / "autoencoder"
    )
    pictures = Pictures(*encoded(autoencoder, emoji.drawings))
    side = pictures.means.shape[-1]
    denoiser = new_denoiser(how.denoiser, how.text.hidden, side, how.teach_denoiser.seed)
    lessons = Lessons(pictures, words, token_rows(tokenizer, [""])[0])
    facts["denoiser with text encoder"] = train_denoiser(
        denoiser, reader, lessons, how.teach_denoiser, work / "denoiser"
    )
    save_pipeline((autoencoder, reader.encoder, tokenizer, denoiser), folder)
    sizes = {"denoiser": _size(denoiser), "autoencoder": _size(autoencoder), "text encoder": _size(reader.encoder)}
    return {"emoji": len(emoji), "parameters": sizes, "parts": facts, "settings": asdict(how)}


def _tokenizer(folder: Path, emoji: Emoji, shape: TextShape) -> CLIPTokenizer:
    """Make the tokenizer once; a resumed run reads it again."""
    if not (folder / "tokenizer_config.json").exists():
        new_tokenizer(emoji, shape).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def _size(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def save_pipeline(
    parts: tuple[AutoencoderKL, CLIPTextModel, CLIPTokenizer, UNet2DConditionModel], folder: Path
) -> None:
    """Save a pipeline in half precision for a plain `StableDiffusionPipeline.from_pretrained`."""
    autoencoder, encoder, tokenizer, denoiser = parts
    pipeline = StableDiffusionPipeline(
        vae=autoencoder.cpu(),
        text_encoder=encoder.cpu(),
        tokenizer=tokenizer,
        unet=denoiser.cpu(),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for network in (autoencoder, encoder, denoiser):
        network.half().to(memory_format=torch.contiguous_format)
    pipeline.save_pretrained(folder)
    # Half precision is how it is stored; what loads it with no word on dtype computes in float32, as the others do.
    encoder.config.dtype = torch.float32
    encoder.config.save_pretrained(folder / "text_encoder")
    # Older libraries read the tokenizer from these two.
    tokenizer.backend_tokenizer.model.save(str(folder / "tokenizer"))


def measure(folder: Path, places: Places, work: Path) -> Findings:
    """Measure a saved starter, and print what was found; the classifier is trained once, in `work`."""
    pipeline = measuring.load(folder)
    how = _plan_of(work)
    emoji = how.known(places.data)
    classifier = measuring.train_classifier(emoji, how.teach_classifier, work / "classifier")
    measurements, drawings = measuring.measured(pipeline, emoji, classifier, how.asked)
    for row in measurements:
        print(f"{row.dataset} {row.split} {row.name} {row.value} {list(row.ci95)} n={row.n} {row.note}")
    real = as_values(emoji.drawings)
    rows = [
        (emoji.names[row], (real[row], drawings[number * how.asked.each]))
        for number, row in enumerate(measuring.chosen(emoji, how.asked))
    ]
    free = measuring.drawn(pipeline, FREE_PROMPTS, how.asked).unflatten(0, (-1, how.asked.each))
    return Findings(measurements, rows, list(zip(FREE_PROMPTS, free, strict=True)), how.asked)


def _plan_of(work: Path) -> Plan:
    """Return the plan that the starter in `work` was made by: a try's is recognised by its few emoji."""
    file = work / "training.json"
    settings = json.loads(file.read_text(encoding="utf-8"))["settings"] if file.exists() else {"emoji": 0}
    steps = settings["teach_denoiser"]["steps"] if settings["emoji"] else 0
    return plan(steps)


def record(folder: Path, findings: Findings, training: Mapping[str, Any]) -> None:
    """Write metrics.json, the sheets and the card."""
    save_sheet(_sheet(findings.rows, 7), folder / SHEET)
    save_sheet(_sheet(findings.free, 3), folder / WORDS_SHEET)
    found = {
        "measurements": as_rows(findings.measurements),
        "asked": asdict(findings.asked),
        "training": training,
    }
    metrics = write_metrics(folder, RECIPE, {"base_model": None, "pipeline": "StableDiffusionPipeline"}, found)
    front_matter = {"library_name": "diffusers", "tags": ["atelier-starter"]}
    write_card(folder, CARD, metrics, Making(_told(metrics), USAGE, front_matter, MINILM, _shown(metrics)))


def _sheet(rows: Sequence[tuple[str, Sequence[torch.Tensor]]], columns: int) -> Any:
    return sheet([(label, [as_image(values) for values in drawings]) for label, drawings in rows], columns)


USAGE = (
    "from diffusers import StableDiffusionPipeline",
    'pipeline = StableDiffusionPipeline.from_pretrained("assets/starters/emoji")',
    'pipeline("red heart", num_inference_steps=20, guidance_scale=5).images[0].save("heart.png")',
)


def _told(metrics: Mapping[str, Any]) -> str:
    training = metrics["training"]
    sizes, settings = training["parameters"], training["settings"]
    parts = "; ".join(
        f"{name}: {facts['steps']:,} steps in {facts['seconds'] / 60:.0f} minutes"
        for name, facts in training["parts"].items()
    )
    return (
        f"A StableDiffusionPipeline whose denoiser has {sizes['denoiser']:,} parameters, its autoencoder "
        f"{sizes['autoencoder']:,} and its text encoder {sizes['text encoder']:,}, trained from random weights on "
        f"{training['emoji']:,} emoji and stored in half precision. Made by `{command(metrics)}` with seed "
        f"{metrics['seed']} ({parts}). Latents of 8 × 8 × 8; velocity prediction with min-SNR weights on a cosine "
        f"schedule; every eighth prompt or so left empty for guidance; batches of "
        f"{settings['teach_denoiser']['batch_size']}; stored are running averages of the weights. The vocabulary of "
        f"{settings['text']['vocabulary']:,} tokens is its own; the text encoder began as a small copy of what "
        "all-MiniLM-L6-v2 makes of words, so that words that no emoji is called by lead near the right one."
    )


def _shown(metrics: Mapping[str, Any]) -> str:
    asked = metrics["asked"]
    return (
        f"## What it draws\n\nNot selected: {asked['prompts']} names drawn with seed {asked['seed']}, each with the "
        f"real emoji at the left and the drawing of seed 0 at the right ({asked['steps']} steps, guidance "
        f"{asked['guidance']}).\n\n![]({SHEET})\n\nWords that are mostly no emoji's name, with seeds 0 to "
        f"{asked['each'] - 1}:\n\n![]({WORDS_SHEET})\n\nTop-1 and top-5 are those of a classifier that learned the "
        "real emoji (altered a little each time) and is no part of the starter: how often the name asked for is the "
        "one, or among the five, that it finds likeliest among all names. A look-alike is an emoji whose drawing "
        f"differs by at most {measuring.SAME_WITHIN:.0%} from the one asked for."
    )


def refusal(measurements: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why a starter is not worth shipping."""
    found = next(row["value"] for row in measurements if row["name"] == "top5")
    return f"top5 {found} is less than {TOP5_AT_LEAST}." if found < TOP5_AT_LEAST else None


if __name__ == "__main__":
    main(RECIPE.name)
