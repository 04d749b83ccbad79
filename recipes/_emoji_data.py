"""Reads the emoji: drawings on white, their names, keywords and groups; and alters drawings for training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional

from recipes._data import read

FOLDER = "noto_emoji"
SIZE = 64
"""Pixels a side."""
NEVER_MIRRORED = ("Symbols", "Flags")
"""Groups of letters and signs: mirrored they would be others."""


@dataclass(frozen=True)
class Emoji:
    """A set of emoji, one row each: what they are called, and how they are drawn."""

    names: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    subgroups: tuple[str, ...]
    drawings: torch.Tensor
    """Bytes, (emoji, 3, SIZE, SIZE), on white."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names)

    @cached_property
    def may_be_mirrored(self) -> torch.Tensor:
        """Whether each is still itself in a mirror, (emoji,)."""
        return torch.tensor([group not in NEVER_MIRRORED for group in self.groups])

    def first(self, count: int) -> Emoji:
        """Return a smaller set, for a try."""
        parts = (self.names, self.keywords, self.groups, self.subgroups, self.drawings)
        return Emoji(*(part[:count] for part in parts))


def read_emoji(data: Path) -> Emoji:
    """Return every named emoji of the base set; of several with the very same drawing, the one of the shortest name."""
    table = read(data, FOLDER, "base")
    table = table[table.name.str.strip() != ""].assign(order=range(sum(table.name.str.strip() != "")))
    drawings = [_drawing(row["bytes"]) for row in table.image]
    table = table.assign(drawing=drawings, key=[drawing.tobytes() for drawing in drawings], length=table.name.str.len())
    table = table.sort_values(["length", "order"]).drop_duplicates("key").drop_duplicates("name").sort_values("order")
    return Emoji(
        tuple(table.name),
        tuple(_words(row.name_, row.keywords) for row in table.rename(columns={"name": "name_"}).itertuples()),
        tuple(table.group),
        tuple(table.subgroup),
        _stacked(table.drawing),
    )


def read_skin_tones(data: Path) -> torch.Tensor:
    """Return the drawings in other skin tones, as `Emoji.drawings`."""
    return _stacked([_drawing(row["bytes"]) for row in read(data, FOLDER, "skin_tones").image])


def _words(name: str, keywords: np.ndarray) -> tuple[str, ...]:
    """Return what an emoji is also called, each once, without its name."""
    plain = dict.fromkeys(keyword.replace("_", " ").strip().lower() for keyword in keywords)
    return tuple(keyword for keyword in plain if keyword and keyword != name.lower())


def _drawing(file: bytes) -> np.ndarray:
    """Return a file's drawing on white, (SIZE, SIZE, 3)."""
    with Image.open(BytesIO(file)) as image:
        clear = image.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return np.asarray(on_white.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _stacked(drawings: pd.Series | list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(list(drawings))).permute(0, 3, 1, 2).contiguous()


def as_values(drawings: torch.Tensor) -> torch.Tensor:
    """Return bytes as the numbers that networks see: −1 is black, 1 is white."""
    return drawings.float() / 127.5 - 1


def as_bytes(values: torch.Tensor) -> torch.Tensor:
    """Return numbers between −1 and 1 as bytes."""
    return ((values.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@dataclass(frozen=True)
class Alteration:
    """How far drawings are moved, scaled and coloured, at most."""

    shift: float = 0.06
    """Of a side."""
    scale: float = 0.1
    brightness: float = 0.15
    contrast: float = 0.15
    tint: float = 0.15
    """Of each colour, by itself."""


def altered(values: torch.Tensor, how: Alteration, generator: torch.Generator) -> torch.Tensor:
    """Return drawings (n, 3, side, side) on white, each moved, scaled and coloured in its own way."""
    shift, scale, colours, contrast, light = (
        torch.rand(len(values), width, generator=generator).mul(2).sub(1).to(values.device) for width in (2, 1, 3, 1, 1)
    )
    moves = torch.zeros(len(values), 2, 3, device=values.device)
    moves[:, 0, 0] = moves[:, 1, 1] = 1 + how.scale * scale[:, 0]
    moves[:, :, 2] = 2 * how.shift * shift
    grid = functional.affine_grid(moves, list(values.shape), align_corners=False)
    # What comes in from outside is 0, so white has to be.
    darkness = functional.grid_sample(values - 1, grid, align_corners=False)
    factors = (1 + how.tint * colours) * (1 + how.contrast * contrast)
    return (1 + darkness * factors[:, :, None, None] * (1 + how.brightness * light[:, :, None, None])).clamp(-1, 1)


def mirrored(values: torch.Tensor, allowed: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the drawings with every second of those allowed (n,) mirrored, by chance."""
    chosen = (torch.rand(len(values), generator=generator) < 0.5).to(values.device) & allowed.to(values.device)  # noqa: PLR2004
    return torch.where(chosen[:, None, None, None], values.flip(3), values)
