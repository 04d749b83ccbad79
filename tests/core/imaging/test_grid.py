"""Prompt grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from core.imaging.contact_sheet import contact_sheet
from core.imaging.grid import cells
from core.imaging.text_to_image import TextToImageSettings


def _settings(**values: Any) -> TextToImageSettings:
    return TextToImageSettings(**{"prompt": "x", "seed": 5, **values})


def test_rows_and_columns_are_drawn(draws: Any) -> None:
    """Each place has its settings and labels; the picture in it is the one these settings draw alone."""
    grid = draws(x_axis="guidance_scale", x_values="1, 6", y_axis="scheduler", y_values="ddim, euler")
    assert [one.labels for one in grid.pictures] == [
        (("guidance_scale", value), ("scheduler", name)) for name in ("ddim", "euler") for value in ("1", "6")
    ]
    alone = draws(guidance_scale=6.0, scheduler="euler").pictures[0].image
    assert grid.pictures[3].image.tobytes() == alone.tobytes()
    assert (grid.pictures[3].settings.x_axis, grid.pictures[3].settings.guidance_scale) == ("none", 6.0)


def test_the_sheet_shows_every_picture_and_label(draws: Any) -> None:
    """Every small picture stands in its place, and there is ink beside each row and above each column."""
    drawn = draws(x_axis="seed", x_values="1, 2, 3", y_axis="num_inference_steps", y_values="1, 2", height=72)
    sheet = np.asarray(drawn.sheet)
    for one in drawn.pictures:
        assert _contains(sheet, np.asarray(one.image))
    left = sheet.shape[1] - 3 * (64 + 8)
    assert (sheet[:, : max(left, 1)] < 100).any()
    assert (sheet[:20] < 100).any()


def _contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    height, width = picture.shape[:2]
    corners = np.argwhere((sheet[: -height + 1 or None, : -width + 1 or None] == picture[0, 0]).all(-1))
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in corners)


def test_a_large_sheet_is_made_of_smaller_pictures() -> None:
    """64 pictures of 1024 x 1024 do not become a sheet of 67 megapixels."""
    from PIL import Image

    settings = _settings(x_axis="seed", x_values=",".join(map(str, range(8))), y_axis="guidance_scale")
    settings = _settings(**{**vars(settings), "y_values": ",".join(map(str, range(1, 9)))})
    image = Image.new("RGB", (1024, 1024))
    sheet = contact_sheet(settings, [(one.labels, image) for one in cells(settings)])
    assert sheet.width * sheet.height < 18_000_000


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"x_axis": "seed"}, "has no values"),
        ({"x_axis": "seed", "x_values": "1, two"}, "no value for the axis seed"),
        ({"x_axis": "num_inference_steps", "x_values": "5, 0"}, "num_inference_steps"),
        ({"x_axis": "scheduler", "x_values": "euler, fast"}, "fast"),
        ({"x_axis": "seed", "x_values": "1", "y_axis": "seed", "y_values": "2"}, "Both axes"),
        ({"x_axis": "seed", "x_values": ",".join(map(str, range(65)))}, "65 pictures; at most 64"),
    ],
)
def test_a_grid_without_sense_is_refused(values: Any, words: str) -> None:
    """Missing, unreadable, forbidden, equal and too many values are told."""
    with pytest.raises(InvalidInput, match=words):
        cells(_settings(**values))


def test_without_axes_there_is_one_place() -> None:
    """No grid is a grid of one, without labels."""
    (cell,) = cells(_settings())
    assert cell.labels == ()
