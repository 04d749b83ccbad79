"""Single pictures of a data set: checked, and kept under a number of ours."""

from __future__ import annotations

import io
from pathlib import Path

from core.settings import LIMITS
from core.words import Sentence, in_bytes, say


def keep_picture(raw: bytes, file: Path) -> Sentence | None:
    """Write the picture's own bytes to `file` once they can be read; return why not where they cannot."""
    if len(raw) > LIMITS.picture_upload_bytes:
        return say("say.data_picture_bytes", size=in_bytes(len(raw)), limit=in_bytes(LIMITS.picture_upload_bytes))
    reason = _unreadable(raw)
    if reason is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
    return reason


def _unreadable(raw: bytes) -> Sentence | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(raw)) as picture:
            width, height = picture.size
            if width * height > LIMITS.upload_pixels:
                return say("say.data_picture_pixels", width=width, height=height, limit=LIMITS.upload_pixels)
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return say("say.data_picture_broken")
    return None
