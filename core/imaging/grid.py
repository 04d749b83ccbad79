"""Prompt grids: the same prompt with one setting different along each side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.fields import comma_separated
from core.imaging.options import DrawingOptions
from core.settings import LIMITS

NONE = "none"
Labels = tuple[tuple[str, str], ...]
"""(setting, value) of the column, then of the row."""

_READERS: Mapping[str, Callable[[str], Any]] = {
    "seed": int,
    "num_inference_steps": int,
    "guidance_scale": float,
    "scheduler": str,
}


@dataclass(frozen=True)
class Cell:
    """One place of a grid: its settings, and the labels of its column and row; without a grid there is one."""

    settings: DrawingOptions
    labels: Labels = ()


def is_grid(settings: DrawingOptions) -> bool:
    """Tell whether anything is to differ."""
    return (settings.x_axis, settings.y_axis) != (NONE, NONE)


def cells(settings: DrawingOptions) -> list[Cell]:
    """Return the places row by row, each with settings of its own and no axes.

    Raises InvalidInput for axes without values or with the same name, values that make no sense, and too many places.
    """
    columns, rows = axis(settings.x_axis, settings.x_values), axis(settings.y_axis, settings.y_values)
    if settings.x_axis != NONE and settings.x_axis == settings.y_axis:
        raise InvalidInput("error.grid_axes_equal", axis=settings.x_axis)
    count = len(columns) * len(rows) * settings.num_images_per_prompt
    if is_grid(settings) and count > LIMITS.grid_pictures:
        raise InvalidInput("error.grid_too_large", count=count, limit=LIMITS.grid_pictures)
    return [_cell(settings, (*column, *row)) for row in rows for column in columns]


def axis(name: str, values: str) -> list[Labels]:
    """Return the labels along one side, one empty one where nothing differs; raises InvalidInput without values."""
    if name == NONE:
        return [()]
    found = comma_separated(values)
    if not found:
        raise InvalidInput("error.grid_without_values", axis=name)
    return [((name, value),) for value in dict.fromkeys(found)]


def _cell(settings: DrawingOptions, labels: Labels) -> Cell:
    changes: dict[str, Any] = {name: _read(name, value) for name, value in labels}
    plain: dict[str, Any] = {"x_axis": NONE, "x_values": "", "y_axis": NONE, "y_values": ""}
    return Cell(dataclasses.replace(settings, **plain, **changes), labels)


def _read(name: str, value: str) -> Any:
    try:
        return _READERS[name](value)
    except ValueError as problem:
        raise InvalidInput("error.grid_value", axis=name, value=value) from problem
