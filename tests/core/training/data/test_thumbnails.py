"""The first pictures, small, in the order of the file, with their captions."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from core.training.data.prepared import PICTURES, Row, Splits
from core.training.data.thumbnails import SIDE, thumbnails


def splits(folder: Path) -> Splits:
    """Return three pictures in two halves."""
    rows: list[Row] = []
    for number, colour in enumerate(("red", "green", "#0000ff00"), start=1):
        file = folder / f"{number}.png"
        Image.new("RGBA", (400, 300), colour).save(file)
        rows.append({"row": number, "image": str(file), "caption": f"picture {number}"})
    return Splits((rows[0], rows[2]), (rows[1],), PICTURES, {"image": "image", "caption": "caption"}, ("image",))


def test_pictures_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Each with number, half, caption and its own size; from a row on, and no more than asked for."""
    found = thumbnails(splits(tmp_path))
    assert [(one.row, one.half, one.caption) for one in found] == [
        (1, "train", "picture 1"),
        (2, "validation", "picture 2"),
        (3, "train", "picture 3"),
    ]
    assert (found[0].width, found[0].height) == (400, 300)
    assert [one.row for one in thumbnails(splits(tmp_path), 2, 1)] == [2]


def test_a_picture_is_shown_as_the_training_crops_it(tmp_path: Path) -> None:
    """The middle square, or all of it; what is transparent is white."""
    for crop, size in ((True, (SIDE, SIDE)), (False, (SIDE * 4 // 3, SIDE))):
        *_, last = thumbnails(splits(tmp_path), center_crop=crop)
        with Image.open(io.BytesIO(last.jpeg)) as picture:
            assert picture.size == size
            pixel = picture.convert("RGB").getpixel((9, 9))
            assert isinstance(pixel, tuple)
            assert min(pixel) > 250
