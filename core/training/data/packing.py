"""Several short texts in one row of a batch, each blind to the others."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any


def pack(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Return which texts share a row of at most `size` tokens: best fit, the longest first (arXiv 2404.10830)."""
    rows: list[list[int]] = []
    spaces: list[tuple[int, int]] = []
    for place in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        fitting = bisect_left(spaces, (lengths[place], -1))
        space, row = spaces.pop(fitting) if fitting < len(spaces) else (size, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(place)
        if space > lengths[place]:
            insort(spaces, (space - lengths[place], row))
    return rows


def joined(sequences: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put texts behind each other; positions begin anew with each, which is how attention tells them apart."""
    return {
        "input_ids": [one for sequence in sequences for one in sequence["input_ids"]],
        "labels": [one for sequence in sequences for one in sequence["labels"]],
        "position_ids": [place for sequence in sequences for place in range(len(sequence["input_ids"]))],
    }
