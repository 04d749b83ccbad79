"""Writes what people read of the emoji starters: numbers, the card, and sheets of unselected drawings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from recipes._card import Card, Making, as_rows, write_card, write_metrics
from recipes._data import APACHE, Source
from recipes._emoji_data import FOLDER, SIZE, as_bytes
from recipes._emoji_measure import Asked
from recipes._measure import Measurement
from recipes._picture_run import PictureRecipe

SHEET = "contact_sheet.png"
WORDS_SHEET = "free_prompts.png"
LINE = 14
"""Pixels of a line of text on a sheet."""
GAP = 6

NOTO = Source(
    FOLDER,
    "Noto Emoji, © Google; names from Unicode; keywords from emojilib",
    f"{APACHE} and SIL OFL 1.1; Unicode licence; MIT",
    "drawings at 64 × 64 pixels on white, names and keywords as prompts; drawings in other skin tones for the "
    "autoencoder only; country flags are not in it",
)
MINILM = f"The text encoder learned from sentence-transformers/all-MiniLM-L6-v2, {APACHE}."
"""What a card says of the model that taught words."""


def as_image(values: torch.Tensor) -> Image.Image:
    """Return one drawing (3, side, side) as a picture."""
    return Image.fromarray(np.ascontiguousarray(as_bytes(values).permute(1, 2, 0).numpy()))


def sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]], columns: int) -> Image.Image:
    """Return labelled rows of pictures of SIZE pixels, `columns` of those rows beside each other."""
    width = max(len(pictures) for _, pictures in rows) * SIZE + GAP
    height = SIZE + LINE + GAP
    lines = -(-len(rows) // columns)
    image = Image.new("RGB", (columns * width + GAP, lines * height + GAP), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    for number, (label, pictures) in enumerate(rows):
        left, top = GAP + number % columns * width, GAP + number // columns * height
        for place, picture in enumerate(pictures):
            image.paste(picture, (left + place * SIZE, top))
        pen.text((left, top + SIZE), shorten(label, (width - GAP) // 6, placeholder="…"), fill="black", font=font)
    return image


def save_sheet(image: Image.Image, file: Path) -> None:
    """Write a sheet as a PNG of 256 colours, which is small enough to ship."""
    image.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


@dataclass(frozen=True)
class Findings:
    """What was measured of something trained over the emoji starter, and the drawings of each name side by side."""

    measurements: Sequence[Measurement]
    rows: Sequence[tuple[str, Sequence[torch.Tensor]]]


@dataclass(frozen=True)
class Overlay:
    """Something trained over the emoji starter, as its card describes it."""

    recipe: PictureRecipe
    card: Card
    usage: Sequence[str]
    tag: str
    """What a Hub page files it under: lora, controlnet."""
    asked: Asked
    columns: int
    """Of the sheet."""
    shown: str
    """What the card says of the sheet."""
    told: Callable[[Mapping[str, Any]], str]
    """How it was made, in words, from metrics.json."""


def record_overlay(folder: Path, overlay: Overlay, findings: Findings, training: Mapping[str, Any]) -> None:
    """Write metrics.json, the sheet and the card."""
    rows = [(label, [as_image(values) for values in drawings]) for label, drawings in findings.rows]
    save_sheet(sheet(rows, overlay.columns), folder / SHEET)
    found = {
        "measurements": as_rows(findings.measurements),
        "asked": asdict(overlay.asked),
        "training": training,
    }
    metrics = write_metrics(folder, overlay.recipe, {"base_model": "starter/emoji"}, found)
    front_matter = {"library_name": "diffusers", "tags": ["atelier-starter", overlay.tag]}
    shown = f"## What it draws\n\nNot selected: {overlay.shown}"
    write_card(folder, overlay.card, metrics, Making(overlay.told(metrics), overlay.usage, front_matter, shown=shown))
