"""Pictures that people bring: read safely, upright, without transparency, and never larger than the limit."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadFile, InvalidInput
from core.settings import LIMITS
from core.words import Sentence, say

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What is read; a decoder that nobody needs is one that nobody attacks."""
SIXTEEN_BIT = "I"
"""How the names of Pillow's modes begin whose greys are larger than 255."""
OPAQUE = (255, 255)
PAINTED = 128
"""From this grey on a place of the mask counts as white."""
SAME_SHAPE = 0.02
"""Masks whose proportions differ by no more than this part are scaled to the picture."""


@dataclass(frozen=True)
class Upload:
    """A picture as RGB, and what had to be done to it."""

    image: Image
    notes: tuple[Sentence, ...] = ()


def read_picture(path: str, name: str = "image") -> Upload:
    """Read a picture upright and as RGB, its transparent parts on white; `name` is the setting that brought it.

    Raises InvalidInput if there is none, and BadFile if it cannot be read or has more pixels than the limit.
    """
    image = _read(path, name)
    if not _is_transparent(image):
        return Upload(_as_rgb(image))
    from PIL import Image as Pillow

    painted = image.convert("RGBA")
    ground = Pillow.new("RGBA", painted.size, "white")
    return Upload(Pillow.alpha_composite(ground, painted).convert("RGB"), (say("say.alpha_on_white"),))


def read_mask(path: str, picture: Image) -> Upload:
    """Read a mask for `picture` (L, only 0 and 255, of its size): white, or painted on transparency, is drawn anew.

    Raises BadFile for another shape than the picture's, InvalidInput for none, or one that leaves everything as it is.
    """
    if not path.strip():
        raise InvalidInput("error.mask_missing")
    image = _read(path, "mask")
    mask = image.convert("RGBA").getchannel("A") if _is_transparent(image) else _as_rgb(image).convert("L")
    notes: tuple[Sentence, ...] = ()
    if mask.size != picture.size:
        _refuse_other_shape(mask, picture)
        notes = (say("say.mask_scaled", mask=_measures(mask), picture=_measures(picture)),)
        mask = mask.resize(picture.size)
    mask = mask.point(lambda grey: 255 if grey >= PAINTED else 0)
    if mask.getbbox() is None:
        raise InvalidInput("error.mask_empty")
    return Upload(mask, notes)


def _refuse_other_shape(mask: Image, picture: Image) -> None:
    shapes = [one.width / one.height for one in (mask, picture)]
    if abs(shapes[0] / shapes[1] - 1) > SAME_SHAPE:
        raise BadFile("error.mask_shape", mask=_measures(mask), picture=_measures(picture))


def _measures(image: Image) -> str:
    return f"{image.width} × {image.height}"


def _read(path: str, name: str) -> Image:
    """Read the first frame, upright; decoding happens here, where a broken file is told in words."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    if not path.strip():
        raise InvalidInput("error.picture_missing", name=name)
    file = Path(path)
    with _in_words(file), Pillow.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > LIMITS.upload_pixels:
            raise _too_large(file, opened.size)
        opened.load()
        upright: Image = ImageOps.exif_transpose(opened)
        return upright.copy()


@contextmanager
def _in_words(file: Path) -> Iterator[None]:
    """Turn what Pillow raises for foreign bytes into a sentence."""
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)  # of damaged EXIF data, which is not needed
            yield
    except (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError) as problem:
        raise BadFile("error.picture_bomb", file=file.name, limit=_megapixels()) from problem
    except FileNotFoundError as problem:
        raise BadFile("error.picture_gone", file=file.name) from problem
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError) as problem:
        raise BadFile("error.picture_unreadable", file=file.name, formats=", ".join(FORMATS)) from problem


def _too_large(file: Path, size: tuple[int, int]) -> BadFile:
    width, height = size
    return BadFile(
        "error.picture_too_large",
        file=file.name,
        width=width,
        height=height,
        megapixels=round(width * height / 1e6, 1),
        limit=_megapixels(),
    )


def _megapixels() -> str:
    return f"{LIMITS.upload_pixels / 1e6:g}"


def _is_transparent(image: Image) -> bool:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return False
    return image.convert("RGBA").getchannel("A").getextrema() != OPAQUE


def _as_rgb(image: Image) -> Image:
    """Convert whatever mode; greys of 16 bits are scaled, which Pillow would cut off at 255."""
    if not image.mode.startswith(SIXTEEN_BIT):
        return image.convert("RGB")
    import numpy as np
    from PIL import Image as Pillow

    grey = np.asarray(image).astype("float32") / 257
    return Pillow.fromarray(grey.clip(0, 255).astype("uint8")).convert("RGB")
