"""Curves as inline SVG: a few hundred points, no library, no other host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.training.history import MOST_POINTS, Point, thinned

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 8, 20


@dataclass(frozen=True)
class Curve:
    """One line of a chart."""

    name: str
    points: Sequence[Point]


def chart(title: str, curves: Sequence[Curve]) -> str:
    """Draw curves over the same steps, each with its last value beside its name; nothing where there are no points."""
    drawn = [Curve(one.name, thinned(one.points)) for one in curves if one.points]
    if not drawn:
        return ""
    steps = [step for one in drawn for step, _ in one.points]
    values = [value for one in drawn for _, value in one.points]
    frame = _Frame(min(steps), max(steps), min(values), max(values))
    lines = "".join(_line(frame, one, place) for place, one in enumerate(drawn))
    legend = " · ".join(
        f'<span class="curve-{place % 4}">{escape(one.name)} {_short(one.points[-1][1])}</span>'
        for place, one in enumerate(drawn)
    )
    return (
        f'<figure class="chart"><figcaption>{escape(title)}: {legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{_axes(frame)}{lines}</svg>'
        "</figure>"
    )


@dataclass(frozen=True)
class _Frame:
    """What the drawing's edges stand for."""

    first: float
    last: float
    low: float
    high: float

    def at(self, point: Point) -> tuple[float, float]:
        """Return a point's place in the drawing; a line without height lies in its middle."""
        across = (point[0] - self.first) / ((self.last - self.first) or 1)
        up = (point[1] - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + (1 - up) * (HEIGHT - TOP - BOTTOM)


def _line(frame: _Frame, curve: Curve, place: int) -> str:
    places = [frame.at(point) for point in curve.points]
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = places if len(places) <= MOST_POINTS // 10 else places[-1:]
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="currentColor"/>' for x, y in dots)
    return f'<g class="curve-{place % 4}"><polyline points="{told}" fill="none" stroke="currentColor"/>{marks}</g>'


def _axes(frame: _Frame) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    texts = (
        (LEFT - 4, TOP + 8, "end", _short(frame.high)),
        (LEFT - 4, bottom, "end", _short(frame.low)),
        (LEFT, HEIGHT - 5, "start", _short(frame.first)),
        (right, HEIGHT - 5, "end", _short(frame.last)),
    )
    written = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    return f'<path class="axes" d="M{LEFT} {TOP}V{bottom}H{right}"/>{written}'


def _short(value: float) -> str:
    return f"{value:.4g}"
