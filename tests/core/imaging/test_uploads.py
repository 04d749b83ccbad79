"""Pictures that people bring, and what some of them try."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import BadFile, InvalidInput
from core.imaging.uploads import read_mask, read_picture


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    """The orientation that a camera wrote down is applied."""
    image = Image.new("RGB", (40, 20), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.jpg", exif=exif)
    assert read_picture(str(tmp_path / "photo.jpg")).image.size == (20, 40)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    """What could be seen through is white, and the note says so; an opaque alpha channel is nothing to tell."""
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "glass.png")
    Image.new("RGBA", (8, 8), (255, 0, 0, 255)).save(tmp_path / "solid.png")
    glass, solid = (read_picture(str(tmp_path / name)) for name in ("glass.png", "solid.png"))
    assert glass.image.getpixel((0, 0)) == (255, 255, 255)
    assert [note.key for note in glass.notes] == ["say.alpha_on_white"]
    assert (solid.image.getpixel((0, 0)), solid.notes) == ((255, 0, 0), ())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_every_mode_becomes_colours(tmp_path: Path, mode: str) -> None:
    """Grey, palette, print colours and 16 bits are all read; a middle grey stays one."""
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 128 * 257, "uint16"))
    else:
        image = Image.new("L", (8, 8), 128).convert(mode)
    image.save(tmp_path / ("x.tiff" if mode == "CMYK" else "x.png"))
    found = read_picture(str(next(tmp_path.glob("x.*")))).image
    assert found.mode == "RGB"
    if mode != "1":
        assert abs(found.getpixel((0, 0))[0] - 128) <= 2


def test_more_than_20_megapixels_are_refused(tmp_path: Path) -> None:
    """The refusal names the size and the limit, before a pixel is decoded."""
    Image.new("1", (5_000, 4_001)).save(tmp_path / "large.png")
    with pytest.raises(BadFile, match=r"5000 × 4001 pixels \(20\.0 megapixels\); at most 20"):
        read_picture(str(tmp_path / "large.png"))
    Image.new("1", (5_000, 4_000)).save(tmp_path / "just.png")
    assert read_picture(str(tmp_path / "just.png")).image.size == (5_000, 4_000)


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_not_opened(tmp_path: Path, side: int) -> None:
    """A small file that claims billions of pixels is refused by its claim."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(BadFile, match=r"bomb\.png claims"):
        read_picture(str(tmp_path / "bomb.png"))


@pytest.mark.parametrize("damage", ["empty", "text", "half", "bits", "svg"])
def test_a_damaged_file_is_told_in_words(tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with the bytes, the refusal names the file and what can be read."""
    Image.effect_noise((64, 64), 60).save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    middle = len(good) // 2
    bad = {
        "empty": b"",
        "text": b"hello",
        "half": good[:middle],
        "bits": good[:60] + bytes(255 - one for one in good[60:200]) + good[200:],
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
    (tmp_path / "bad.png").write_bytes(bad[damage])
    with pytest.raises(BadFile, match=r"bad\.png cannot be read.*PNG, JPEG"):
        read_picture(str(tmp_path / "bad.png"))


def test_a_mask_of_another_size_is_scaled_or_refused(tmp_path: Path) -> None:
    """The same proportions are scaled, which is told; others are refused with both sizes."""
    picture = Image.new("RGB", (100, 50))
    Image.new("L", (200, 100), 255).save(tmp_path / "double.png")
    Image.new("L", (100, 100), 255).save(tmp_path / "square.png")
    scaled = read_mask(str(tmp_path / "double.png"), picture)
    assert (scaled.image.size, [note.key for note in scaled.notes]) == ((100, 50), ["say.mask_scaled"])
    with pytest.raises(BadFile, match=r"100 × 100.*100 × 50"):
        read_mask(str(tmp_path / "square.png"), picture)


def test_a_mask_may_be_painted_on_glass(tmp_path: Path) -> None:
    """Paint of any colour on transparency is the mask, as a page's brush leaves it."""
    layer = Image.new("RGBA", (10, 10))
    layer.paste((0, 0, 0, 255), (0, 0, 5, 10))
    layer.save(tmp_path / "layer.png")
    mask = read_mask(str(tmp_path / "layer.png"), Image.new("RGB", (10, 10))).image
    assert (mask.getpixel((2, 2)), mask.getpixel((7, 2))) == (255, 0)


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    """A mask without white would change nothing."""
    Image.new("L", (10, 10)).save(tmp_path / "black.png")
    with pytest.raises(InvalidInput, match="empty"):
        read_mask(str(tmp_path / "black.png"), Image.new("RGB", (10, 10)))
