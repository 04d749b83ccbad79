"""Pictures as the VAE reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from core.errors import BadFile
from core.training.pictures.files import as_values, read_sized


def saved(image: Image.Image, folder: Path, **options: object) -> Path:
    """Save a picture."""
    image.save(folder / "picture.png", **options)
    return folder / "picture.png"


def test_the_middle_square_is_cut(tmp_path: Path) -> None:
    """The shorter side becomes the resolution, and SDXL is told the size and the corner."""
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (50, 0, 150, 100))
    sized = read_sized(saved(image, tmp_path), 64, center_crop=True)
    assert (sized.image.size, sized.original, sized.corner) == ((64, 64), (100, 200), (0, 32))
    assert sized.image.getpixel((32, 32)) == (0, 0, 255)


def test_without_the_crop_all_of_it_stays(tmp_path: Path) -> None:
    """A square will be drawn from the whole."""
    sized = read_sized(saved(Image.new("RGB", (50, 100)), tmp_path), 64, center_crop=False)
    assert (sized.image.size, sized.corner) == ((64, 128), (0, 0))


def test_transparent_parts_are_white_and_pictures_upright(tmp_path: Path) -> None:
    """As a person sees them."""
    clear = read_sized(saved(Image.new("RGBA", (64, 64), (255, 0, 0, 0)), tmp_path), 64, center_crop=True)
    assert clear.image.getpixel((3, 3)) == (255, 255, 255)
    turned = Image.Exif()
    turned[0x0112] = 6
    lying = saved(Image.new("RGB", (128, 64)), tmp_path, exif=turned)
    assert read_sized(lying, 64, center_crop=False).original == (128, 64)


def test_values_reach_from_black_to_white() -> None:
    """-1 is black, 1 is white; channels come first."""
    values = as_values(Image.new("RGB", (4, 2), (255, 0, 255)))
    assert values.shape == (3, 2, 4)
    assert values[:, 0, 0].tolist() == [1, -1, 1]


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    """It was readable when the data were chosen."""
    (tmp_path / "cat.png").write_bytes(b"not a picture")
    with pytest.raises(BadFile, match=r"cat\.png"):
        read_sized(tmp_path / "cat.png", 64, center_crop=True)
