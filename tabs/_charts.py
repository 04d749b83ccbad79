"""Charts as inline SVG: a few hundred points, no library, no other host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.curve import MOST_POINTS, Point, thinned

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 8, 20
COLOURS = 8
"""How many colours style.css has for curves."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: from where to where it lies, how high it is, and what it says to mouse and screen reader."""

    first: float
    last: float
    value: float
    told: str


@dataclass(frozen=True)
class Frame:
    """What the drawing's edges stand for."""

    first: float
    last: float
    low: float
    high: float
    log_scale: bool = False
    """Of the values, all above 0."""

    def at(self, point: Point) -> tuple[float, float]:
        """Return a point's place in the drawing; a line without height lies in its middle."""
        across = (point[0] - self.first) / ((self.last - self.first) or 1)
        low, value, high = (self._height(one) for one in (self.low, point[1], self.high))
        up = (value - low) / (high - low) if high > low else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + (1 - up) * (HEIGHT - TOP - BOTTOM)

    def _height(self, value: float) -> float:
        return math.log10(value) if self.log_scale else value


SHARES = Frame(0.0, 1.0, 0.0, 1.0)
"""Both axes from 0 to 1."""


def chart(title: str, curves: Sequence[Curve], *, log_scale: bool = False) -> str:
    """Draw curves over the same steps, each with its last value beside its name; nothing where there are no points.

    On a logarithmic scale points that are not above 0 are left out.
    """
    kept = [Curve(one.name, [point for point in one.points if point[1] > 0]) for one in curves] if log_scale else curves
    drawn = [Curve(one.name, thinned(one.points)) for one in kept if one.points]
    if not drawn:
        return ""
    steps = [step for one in drawn for step, _ in one.points]
    values = [value for one in drawn for _, value in one.points]
    frame = Frame(min(steps), max(steps), min(values), max(values), log_scale)
    named = [(one.name, _short(one.points[-1][1])) for one in drawn]
    return _figure(title, named, _axes(frame) + _lines(frame, drawn))


def share_chart(title: str, curves: Sequence[Curve], chance: Sequence[Point] = (), told: Sequence[str] = ()) -> str:
    """Draw curves in a square of shares, 0 to 1 both ways.

    `chance` is what guessing would draw; `told` stands beside each curve's name instead of its last value.
    """
    drawn = [Curve(one.name, thinned(one.points)) for one in curves if one.points]
    if not drawn:
        return ""
    own = told or [_short(one.points[-1][1]) for one in drawn]
    named = [(one.name, number) for one, number in zip(drawn, own, strict=True)]
    return _figure(title, named, _axes(SHARES) + _dashed(SHARES, chance) + _lines(SHARES, drawn))


def bar_chart(
    title: str, bars: Sequence[Bar], frame: Frame, beside: Sequence[Point] = (), ends: tuple[str, str] = ("", "")
) -> str:
    """Draw bars that stand on the frame's floor; `beside` is a dashed line to compare them with.

    `ends` are written at both ends of the lower edge instead of the frame's own numbers.
    """
    if not bars:
        return ""
    drawn = "".join(_bar(frame, one) for one in bars)
    return _figure(title, [], f'{_axes(frame, ends)}<g class="curve-1">{drawn}</g>{_dashed(frame, beside)}')


def _figure(title: str, named: Sequence[tuple[str, str]], inside: str) -> str:
    legend = " · ".join(
        f'<span class="curve-{place % COLOURS}">{escape(name)} {escape(number)}</span>'
        for place, (name, number) in enumerate(named)
    )
    caption = f"{escape(title)}: {legend}" if legend else escape(title)
    return (
        f'<figure class="chart"><figcaption>{caption}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{inside}</svg></figure>'
    )


def _lines(frame: Frame, curves: Sequence[Curve]) -> str:
    return "".join(_line(frame, one, place) for place, one in enumerate(curves))


def _line(frame: Frame, curve: Curve, place: int) -> str:
    places = [frame.at(point) for point in curve.points]
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = places if len(places) <= MOST_POINTS // 10 else places[-1:]
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="currentColor"/>' for x, y in dots)
    line = f'<polyline points="{told}" fill="none" stroke="currentColor"/>'
    return f'<g class="curve-{place % COLOURS}">{line}{marks}</g>'


def _dashed(frame: Frame, points: Sequence[Point]) -> str:
    if not points:
        return ""
    told = "L".join("{:.1f} {:.1f}".format(*frame.at(point)) for point in points)
    return f'<path class="axes" stroke-dasharray="4 3" d="M{told}"/>'


def _bar(frame: Frame, bar: Bar) -> str:
    left, top = frame.at((bar.first, bar.value))
    right, bottom = frame.at((bar.last, frame.low))
    width = max(right - left - 2, 1)
    return (
        f'<rect x="{left + 1:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(bottom - top, 0.5):.1f}" '
        f'fill="currentColor"><title>{escape(bar.told)}</title></rect>'
    )


def _axes(frame: Frame, ends: tuple[str, str] = ("", "")) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    texts = (
        (LEFT - 4, TOP + 8, "end", _short(frame.high)),
        (LEFT - 4, bottom, "end", _short(frame.low)),
        (LEFT, HEIGHT - 5, "start", escape(ends[0]) or _short(frame.first)),
        (right, HEIGHT - 5, "end", escape(ends[1]) or _short(frame.last)),
    )
    written = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    return f'<path class="axes" d="M{LEFT} {TOP}V{bottom}H{right}"/>{written}'


def _short(value: float) -> str:
    return f"{value:.4g}"
