"""One line of the runs table: a training, or one model of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRAINING, EVALUATION = "training", "evaluation"
KINDS = (TRAINING, EVALUATION)


@dataclass(frozen=True)
class Number:
    """A metric's value, with its 95 % interval where it was resampled."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RunRow:
    """A training, or one model of an evaluation; several lines may be of one job."""

    job: str
    kind: str
    state: str
    created: float
    """Seconds since 1970."""
    seconds: float
    name: str
    """run/<name>, or the model as the evaluation was asked for it."""
    model: str = ""
    """What it stands on: name@revision, as far as it is known."""
    task: str = ""
    data: str = ""
    data_hash: str = ""
    metrics: Mapping[str, Number] = field(default_factory=dict)
    """By metric; a training's are those of its held-out rows, without the prefix of Trainer."""
    tags: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Everything that a search looks into, in lower case."""
        told = (self.job, self.kind, self.state, self.name, self.model, self.task, self.data, *self.tags)
        return " ".join(told).lower()

    def as_dict(self) -> dict[str, Any]:
        """Return the line for programs."""
        names = ("job", "kind", "state", "created", "seconds", "name", "model", "task", "data", "data_hash")
        metrics = {key: {"value": one.value, "low": one.low, "high": one.high} for key, one in self.metrics.items()}
        return {**{name: getattr(self, name) for name in names}, "tags": list(self.tags), "metrics": metrics}
