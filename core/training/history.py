"""What a run has told so far, gathered from its events; each look reads only what is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.curve import Point
from core.jobs.events import Event
from core.jobs.records import sentence_from_json
from core.words import Sentence

LEARNING = ("loss", "learning_rate", "grad_norm")
SPEEDS = ("samples_per_second", "tokens_per_second")


@dataclass
class History:
    """Curves, samples, notes and checkpoints of a run, in every attempt."""

    last: int = 0
    """Number of the last event that was read."""
    learning: dict[str, list[Point]] = field(default_factory=dict)
    """Curves of training: loss, learning_rate, grad_norm."""
    evaluations: dict[str, list[Point]] = field(default_factory=dict)
    """Curves of evaluations, by metric."""
    speeds: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)
    """The newest samples event."""
    notes: list[Sentence] = field(default_factory=list)
    checkpoint: int = 0
    """Step of the newest checkpoint; 0 = none yet."""
    measured: dict[str, Any] = field(default_factory=dict)

    def read(self, events: Iterable[Event]) -> None:
        """Take in further events; one of another version, which makes no sense here, is passed over."""
        for event in events:
            self.last = event.seq
            if isinstance(event.payload, Mapping):
                _READERS.get(event.name, _ignore)(self, event.payload)

    def as_dict(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {
            "learning": {name: [list(point) for point in points] for name, points in self.learning.items()},
            "evaluations": {name: [list(point) for point in points] for name, points in self.evaluations.items()},
            "speed": self.speeds,
            "samples": self.samples,
            "notes": [str(note) for note in self.notes],
            "checkpoint": self.checkpoint,
            "measured": self.measured,
        }


def _ignore(_: History, __: Mapping[str, Any]) -> None:
    """Progress is in the job's view already."""


def _metrics(history: History, told: Mapping[str, Any]) -> None:
    for name in LEARNING:
        _add(history.learning, name, told)
    history.speeds.update({name: float(told[name]) for name in SPEEDS if _is_number(told.get(name))})


def _evaluation(history: History, told: Mapping[str, Any]) -> None:
    for name in told:
        if name not in ("step", "epoch"):
            _add(history.evaluations, name, told)


def _add(curves: dict[str, list[Point]], name: str, told: Mapping[str, Any]) -> None:
    """Add a point; what an attempt does again, after an earlier one died, replaces what that one told."""
    if not _is_number(told.get("step")) or not _is_number(told.get(name)):
        return
    step, points = float(told["step"]), curves.setdefault(name, [])
    while points and points[-1][0] >= step:
        points.pop()
    points.append((step, float(told[name])))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _samples(history: History, told: Mapping[str, Any]) -> None:
    history.samples = dict(told)


def _note(history: History, told: Mapping[str, Any]) -> None:
    sentence = sentence_from_json(told)
    if sentence is not None and sentence not in history.notes:
        history.notes.append(sentence)


def _checkpoint(history: History, told: Mapping[str, Any]) -> None:
    history.checkpoint = int(told.get("step", 0))


def _measured(history: History, told: Mapping[str, Any]) -> None:
    history.measured = dict(told)


_READERS = {
    "metrics": _metrics,
    "evaluation": _evaluation,
    "samples": _samples,
    "note": _note,
    "checkpoint": _checkpoint,
    "measured": _measured,
}
