"""Texts inside a PNG: read as the standard has them, never more than allowed, and damage is said in words."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo

from core.errors import BadFile
from core.pictures.png_text import SIGNATURE, read_texts

MOST = 10_000


def chunk(kind: bytes, content: bytes) -> bytes:
    """Write one chunk as the standard has it."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0))
END = chunk(b"IEND", b"")


def png(folder: Path, *chunks: bytes, end: bytes = END) -> Path:
    """Write a PNG of these chunks; it has no pixels, and needs none."""
    path = folder / "made.png"
    path.write_bytes(SIGNATURE + HEADER + b"".join(chunks) + end)
    return path


def test_all_three_kinds_of_text_are_read(tmp_path: Path) -> None:
    """What Pillow writes as tEXt, zTXt and iTXt, compressed or not, comes back, and nothing that was not asked for."""
    texts = PngInfo()
    texts.add_text("plain", "café")
    texts.add_text("packed", "x" * 5_000, zip=True)
    texts.add_itxt("world", "紅心 ❤", "zh", "世界")
    texts.add_itxt("packed world", "紅心 " * 100, zip=True)
    texts.add_text("other", "no matter")
    Image.new("RGB", (9, 4)).save(tmp_path / "a.png", pnginfo=texts)
    head = read_texts(tmp_path / "a.png", ("plain", "packed", "world", "packed world", "missing"), MOST)
    assert (head.width, head.height) == (9, 4)
    assert head.texts == {"plain": "café", "packed": "x" * 5_000, "world": "紅心 ❤", "packed world": "紅心 " * 100}
    assert head.keywords == {"plain", "packed", "world", "packed world", "other"}


def test_texts_behind_the_pixels_are_found(tmp_path: Path) -> None:
    """Some tools write their text last; a file with many pixel chunks in between is read to its end."""
    Image.effect_noise((400, 400), 90).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    cut = content.index(b"IEND") - 4
    (tmp_path / "b.png").write_bytes(content[:cut] + chunk(b"tEXt", b"parameters\0late") + content[cut:])
    assert content.count(b"IDAT") * ImageFile.MAXBLOCK > MOST
    assert read_texts(tmp_path / "b.png", ("parameters",), MOST).texts == {"parameters": "late"}


def test_utf8_where_latin_is_prescribed_is_read_as_it_was_meant(tmp_path: Path) -> None:
    """Many tools write UTF-8 into tEXt; Latin-1, which the standard asks for, is read, too."""
    read = [
        read_texts(png(tmp_path, chunk(b"tEXt", b"a\0" + "é紅".encode())), ("a",), MOST).texts["a"],
        read_texts(png(tmp_path, chunk(b"tEXt", b"a\0" + "é".encode("latin-1"))), ("a",), MOST).texts["a"],
    ]
    assert read == ["é紅", "é"]


def test_of_two_texts_with_one_keyword_the_first_counts(tmp_path: Path) -> None:
    """A second text under a known keyword does not replace the first."""
    twice = png(tmp_path, chunk(b"tEXt", b"a\0first"), chunk(b"tEXt", b"a\0second"))
    assert read_texts(twice, ("a",), MOST).texts == {"a": "first"}


@pytest.mark.parametrize(
    "long",
    [
        chunk(b"tEXt", b"a\0" + b"x" * 20_000),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(5_000_000))),
        chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(5_000_000))),
    ],
    ids=["plain", "packed", "packed UTF-8"],
)
def test_a_huge_text_is_refused_with_the_limit(tmp_path: Path, long: bytes) -> None:
    """A text that is larger than allowed, or unpacks to more, is refused, with the number."""
    with pytest.raises(BadFile, match=r"larger than 10\.0 KB"):
        read_texts(png(tmp_path, long), ("a",), MOST)


def test_a_huge_text_nobody_asked_for_is_passed_over(tmp_path: Path) -> None:
    """Other tools' data, of whatever size, is not read."""
    mixed = png(tmp_path, chunk(b"zTXt", b"other\0\0" + zlib.compress(bytes(5_000_000))), chunk(b"tEXt", b"a\0b"))
    assert read_texts(mixed, ("a",), MOST).texts == {"a": "b"}


@pytest.mark.parametrize(
    "content",
    [
        SIGNATURE,
        SIGNATURE + HEADER,
        SIGNATURE + HEADER[:-1] + b"\0" + END,
        SIGNATURE + END,
        SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)) + END,
        SIGNATURE + chunk(b"tEXt", b"a\0b") + HEADER + END,
        SIGNATURE + HEADER + struct.pack(">I", 2**31) + b"tEXta\0b" + END,
        SIGNATURE + HEADER + struct.pack(">I", 3) + b"tEXta\0b" + b"\0\0\0\0" + END,
        SIGNATURE + HEADER + chunk(b"zTXt", b"a\0\0not packed") + END,
        SIGNATURE + HEADER + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b" * 999)[:-9]) + END,
        SIGNATURE + HEADER + chunk(b"IDAT", b"") * 100_001 + END,
    ],
    ids=[
        "bare",
        "cut",
        "checksum",
        "no size",
        "no pixels",
        "late size",
        "length",
        "text",
        "not packed",
        "half",
        "many",
    ],
)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    """A file that is cut, lies about a length, or fails its own checksum is refused by its name."""
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"broken\.png.*damaged"):
        read_texts(path, ("a",), MOST)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0", b"not a picture"])
def test_what_is_no_png_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    """A JPEG, a text or nothing is no PNG, and the sentence says what a recipe is read from."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"photo\.jpg.*no PNG"):
        read_texts(path, ("a",), MOST)
