"""Curves of several trainings in one chart, smoothed if wished; each look reads only the events that are new."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.curve import Point, thinned
from core.fields import enforce, number, text
from core.jobs.runner import Jobs
from core.jobs.views import Owner
from core.training.history import LEARNING, History

MOST_EVENTS = 5_000
"""Read at once; a long run is read in several goes."""
MOST_KEPT = 256
"""Trainings whose curves are kept in memory, those that were looked at last."""


@dataclass(frozen=True, kw_only=True)
class CurveSettings:
    """What is drawn of the chosen trainings."""

    metric: str = text(limit=100, optional=True)
    """One curve's name, such as eval_loss; "" = all."""
    smoothing: float = number(0.0, low=0.0, high=0.99, step=0.01)
    """Weight of what came before, as TensorBoard smooths; 0 = as measured."""
    log_scale: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits."""
        enforce(self)


@dataclass(frozen=True)
class Overlay:
    """One chart: a curve of the same name for each training that has one."""

    name: str
    curves: Mapping[str, list[Point]]
    """By run."""


class CurveReader:
    """Keeps what trainings have told, and reads on from there; thread-safe."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._lock = threading.Lock()

    def history(self, jobs: Jobs, job: str, owner: Owner) -> History:
        """Return all that a training has told so far; raises UnknownName."""
        with self._lock:
            found = self._histories.setdefault(job, History())
            self._histories.move_to_end(job)
            try:
                _read_on(found, jobs, job, owner)
            except Exception:
                del self._histories[job]
                raise
            if len(self._histories) > MOST_KEPT:
                self._histories.popitem(last=False)
            return found


def _read_on(history: History, jobs: Jobs, job: str, owner: Owner) -> None:
    more = True
    while more:
        news = jobs.follow(job, history.last, owner, MOST_EVENTS)
        history.read(news.events)
        more = news.more


def overlaid(histories: Mapping[str, History], settings: CurveSettings) -> list[Overlay]:
    """Return a chart for each curve that one of the runs has: losses first, a few hundred points of each."""
    curves = {run: {**one.learning, **one.evaluations} for run, one in histories.items()}
    names = [name for name in _in_order(curves.values()) if settings.metric in ("", name)]
    return [
        Overlay(name, {run: _seen(told[name], settings.smoothing) for run, told in curves.items() if told.get(name)})
        for name in names
    ]


def _in_order(curves: Iterable[Mapping[str, list[Point]]]) -> list[str]:
    """Return each curve's name once: what was learnt by first, then what was evaluated."""
    found = dict.fromkeys(name for told in curves for name, points in told.items() if points)
    first = [name for name in ("loss", "eval_loss") if name in found]
    rest = [name for name in found if name not in first]
    return first + sorted(rest, key=lambda name: name in LEARNING)


def _seen(points: list[Point], smoothing: float) -> list[Point]:
    return thinned(smoothed(points, smoothing))


def smoothed(points: list[Point], weight: float) -> list[Point]:
    """Return an exponential moving average without the pull of its beginning (as TensorBoard's), step for step."""
    if not weight:
        return list(points)
    average, seen, found = 0.0, 0.0, []
    for step, value in points:
        average = weight * average + (1 - weight) * value
        seen = weight * seen + (1 - weight)
        found.append((step, average / seen))
    return found
