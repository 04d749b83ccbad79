"""The first pictures of a data set as the training crops them, small enough to be sent with the page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from core.training.data.prepared import Row, Splits
from core.training.pictures.files import read_sized

MOST = 8
SIDE = 192
"""Pixels of the shorter side."""
LONGEST = 3 * SIDE
QUALITY = 80


@dataclass(frozen=True)
class Thumbnail:
    """One picture with its caption."""

    row: int
    half: str
    """"train" or "validation"."""
    caption: str
    width: int
    """Of the picture itself, in pixels."""
    height: int
    jpeg: bytes


def thumbnails(splits: Splits, first: int = 0, most: int = MOST, *, center_crop: bool = True) -> tuple[Thumbnail, ...]:
    """Return the pictures from row number `first` on, in the order of the file; raises BadFile for a lost one."""
    halves = (("train", splits.train), ("validation", splits.validation))
    rows = [(row["row"], half, row) for half, held in halves for row in held if row["row"] >= first]
    chosen = sorted(rows, key=lambda one: (one[0], one[1]))[:most]
    return tuple(_small(half, row, center_crop=center_crop) for _, half, row in chosen)


def _small(half: str, row: Row, *, center_crop: bool) -> Thumbnail:
    sized = read_sized(Path(row["image"]), SIDE, center_crop=center_crop)
    image, held = sized.image, io.BytesIO()
    image.thumbnail((LONGEST, LONGEST))
    image.save(held, "JPEG", quality=QUALITY)
    height, width = sized.original
    return Thumbnail(row["row"], half, row["caption"], width, height, held.getvalue())
