"""A grid as one picture: small pictures row by row, with the values of both axes beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.imaging.grid import Labels, axis
from core.imaging.options import DrawingOptions

if TYPE_CHECKING:
    from PIL.Image import Image

SHEET_PIXELS = 16_000_000
"""A grid with more is made of smaller pictures."""
GAP = 8
SMALLEST_FONT, LARGEST_FONT = 12, 40
FONT_SHARE = 16
"""A label is a sixteenth of a picture high, within readable bounds."""
INK, PAPER = "black", "white"


@dataclass(frozen=True)
class _Layout:
    columns: list[Labels]
    rows: list[Labels]
    picture: tuple[int, int]
    font: Any

    def width_of(self, labels: Iterable[Labels]) -> int:
        return max((math.ceil(self.font.getlength(in_words(one))) for one in labels), default=0)

    @property
    def left(self) -> int:
        """Room for the rows' labels."""
        return self.width_of(self.rows) + 2 * GAP if any(self.rows) else GAP

    @property
    def top(self) -> int:
        """Room for the columns' labels."""
        return int(self.font.size * 1.4) + 2 * GAP if any(self.columns) else GAP

    @property
    def stride(self) -> tuple[int, int]:
        """From one place to the next; a long label makes its column wider."""
        return max(self.picture[0], self.width_of(self.columns)) + GAP, self.picture[1] + GAP

    @property
    def size(self) -> tuple[int, int]:
        wide, high = self.stride
        return self.left + wide * len(self.columns), self.top + high * len(self.rows)

    def corner(self, column: int, row: int) -> tuple[int, int]:
        wide, high = self.stride
        return self.left + wide * column, self.top + high * row


def contact_sheet(settings: DrawingOptions, pictures: Iterable[tuple[Labels, Image]]) -> Image:
    """Return the pictures (labels, image) in the places that `settings` names; of several in a place, the first."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    first = dict(reversed(list(pictures)))
    layout = _layout(settings, first)
    sheet = Pillow.new("RGB", layout.size, PAPER)
    for y, row in enumerate(layout.rows):
        for x, column in enumerate(layout.columns):
            image = first.get((*column, *row))
            if image is not None:
                sheet.paste(image.resize(layout.picture), layout.corner(x, y))
    _write(ImageDraw.Draw(sheet), layout)
    return sheet


def in_words(labels: Labels) -> str:
    """Write a label: guidance_scale 7.5."""
    return ", ".join(f"{name} {value}" for name, value in labels)


def _layout(settings: DrawingOptions, first: Mapping[Labels, Image]) -> _Layout:
    from PIL import ImageFont

    columns, rows = axis(settings.x_axis, settings.x_values), axis(settings.y_axis, settings.y_values)
    width, height = next(iter(first.values())).size
    shrink = min(1.0, math.sqrt(SHEET_PIXELS / (width * height * len(columns) * len(rows))))
    picture = max(int(width * shrink), 1), max(int(height * shrink), 1)
    font_size = min(max(picture[1] // FONT_SHARE, SMALLEST_FONT), LARGEST_FONT)
    return _Layout(columns, rows, picture, ImageFont.load_default(font_size))


def _write(pen: Any, layout: _Layout) -> None:
    wide, high = layout.picture
    for x, column in enumerate(layout.columns):
        left, top = layout.corner(x, 0)
        pen.text((left + wide / 2, top / 2), in_words(column), fill=INK, font=layout.font, anchor="mm")
    for y, row in enumerate(layout.rows):
        left, top = layout.corner(0, y)
        pen.text((left - GAP, top + high / 2), in_words(row), fill=INK, font=layout.font, anchor="rm")
