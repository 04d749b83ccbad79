"""Limits written beside a setting's field: the dataclass enforces them, the form reads them.

@dataclass(frozen=True)
class Example:
    text: str = text(limit=1_000)
    top_k: int = number(5, low=1, high=50)
    mode: str = choice("mean", ("mean", "max"))
    def __post_init__(self) -> None:
        enforce(self)
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from core.errors import InvalidInput

TEXT, NUMBER, CHOICE = "text", "number", "choice"

_COMMAS = re.compile(r"[,，、،\n]")


def text(*, limit: int, default: str | None = None, optional: bool = False) -> Any:
    """Declare a text of at most `limit` characters; an empty one is refused unless `optional`."""
    metadata = {"kind": TEXT, "limit": limit, "optional": optional}
    if default is None and not optional:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default or "", metadata=metadata)


def number(default: float, *, low: float, high: float, step: float = 1) -> Any:
    """Declare a number from `low` to `high`, both allowed."""
    return dataclasses.field(default=default, metadata={"kind": NUMBER, "low": low, "high": high, "step": step})


def choice(default: str, options: tuple[str, ...]) -> Any:
    """Declare one of `options`."""
    return dataclasses.field(default=default, metadata={"kind": CHOICE, "options": options})


def comma_separated(text: str) -> tuple[str, ...]:
    """Return what stands between commas, of whatever script, in order: trimmed, none blank."""
    return tuple(part.strip() for part in _COMMAS.split(text) if part.strip())


def enforce(settings: Any) -> None:
    """Raise InvalidInput, with the numbers, for the first field outside its limits; whole floats become ints."""
    for field in dataclasses.fields(settings):
        check = _CHECKS.get(field.metadata.get("kind", ""))
        if check:
            check(settings, field, getattr(settings, field.name))


def _check_text(_: Any, field: dataclasses.Field[Any], value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidInput("error.not_text", name=field.name)
    limit = field.metadata["limit"]
    if not value.strip() and not field.metadata["optional"]:
        raise InvalidInput("error.text_empty", name=field.name, limit=limit)
    if len(value) > limit:
        raise InvalidInput("error.text_too_long", name=field.name, length=len(value), limit=limit)


def _check_number(settings: Any, field: dataclasses.Field[Any], value: Any) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput("error.not_a_number", name=field.name, low=low, high=high)
    whole = field.type in ("int", int)
    if whole and value != int(value):
        raise InvalidInput("error.not_whole", name=field.name, low=low, high=high)
    if not low <= value <= high:
        raise InvalidInput("error.number_outside", name=field.name, value=value, low=low, high=high)
    if whole:
        object.__setattr__(settings, field.name, int(value))


def _check_choice(_: Any, field: dataclasses.Field[Any], value: Any) -> None:
    options = field.metadata["options"]
    if value not in options:
        raise InvalidInput("error.not_an_option", name=field.name, value=value, options=", ".join(options))


_CHECKS = {TEXT: _check_text, NUMBER: _check_number, CHOICE: _check_choice}
