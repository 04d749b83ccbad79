"""Points of a curve, and how few of them a screen needs."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]
"""(step, value)"""
MOST_POINTS = 300
"""Drawn of one curve; a screen shows no more."""


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most `most` points from all over the curve: of each stretch the lowest or the highest, and the last."""
    if len(points) <= most:
        return list(points)
    pairs = max((most - 1) // 2, 1)
    kept: list[Point] = []
    for part in range(pairs):
        stretch = points[part * len(points) // pairs : (part + 1) * len(points) // pairs]
        ends = {min(stretch, key=lambda one: one[1]), max(stretch, key=lambda one: one[1])}
        kept += sorted(ends)
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]
