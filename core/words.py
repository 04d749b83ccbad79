"""Sentences for people: looked up by key, filled with values, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "i18n"
LANGUAGES = ("en", "zh-TW", "zh-CN", "ko")


@cache
def dictionary(language: str) -> Mapping[str, str]:
    """Return every sentence of one language as {"section.key": text}; English fills what is missing."""
    own: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return own if language == "en" else {**dictionary("en"), **own}


@dataclass(frozen=True)
class Sentence:
    """A sentence that has not chosen its language yet; `str()` speaks English."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say it in English."""
        return self.in_language("en")

    def in_language(self, language: str) -> str:
        """Say it in `language` (one of LANGUAGES; anything else is English)."""
        known = language if language in LANGUAGES else "en"
        values = {
            name: value.in_language(known) if isinstance(value, Sentence) else value
            for name, value in self.values.items()
        }
        return dictionary(known)[self.key].format(**values)


def say(key: str, **values: Any) -> Sentence:
    """Write `say("reason.fits", free="3.1 GB")` where a person will read the outcome."""
    return Sentence(key, values)


_NEXT_UNIT = 999.95
"""From here on one decimal would read 1000.0."""


def in_bytes(count: float) -> str:
    """Write a byte count the way people read it: 87.4 MB (decimal units, as disks and the Hub do)."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < _NEXT_UNIT:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
