"""What drawing gives, and whom it tells meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.events import CancelToken, Progress
from core.provenance import Provenance
from core.words import Sentence

if TYPE_CHECKING:
    from PIL.Image import Image

    from core.imaging.options import DrawingOptions


@dataclass(frozen=True)
class Picture:
    """One finished picture (RGB), and the settings that give it again, alone: its own seed, size and scheduler."""

    image: Image
    seed: int
    settings: DrawingOptions
    labels: tuple[tuple[str, str], ...] = ()
    """Its place in a grid: (axis, value) of the column, then of the row."""
    place: int = 0
    """Its number among all pictures of the request, from 0."""
    provenance: Provenance | None = None
    """What drew it, in how many seconds since the request began."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    @property
    def details(self) -> dict[str, Any]:
        """Seed, size and labels, as JSON."""
        width, height = self.size
        return {"seed": self.seed, "width": width, "height": height, "labels": dict(self.labels)}


@dataclass(frozen=True)
class Cost:
    """What a request took, beside what was predicted; bytes are of the device that computed."""

    predicted_bytes: int = 0
    """Weights and working memory, as the planner saw them before."""
    measured_bytes: int = 0
    """Most that weights and work held at once; 0 = could not be measured."""
    seconds: float = 0.0
    seconds_per_step: float = 0.0
    """The median over all steps of all pictures."""


@dataclass(frozen=True)
class Drawn:
    """Finished pictures in order, and how they came about."""

    pictures: tuple[Picture, ...]
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()
    """What was cut from the prompt, what had to be done again, which wish this model does not know."""
    cost: Cost = field(default_factory=Cost)
    reasons: tuple[Sentence, ...] = ()
    """Why the model sits where and how it does."""
    sheet: Image | None = None
    """A grid's contact sheet with labelled axes."""
    condition: Image | None = None
    """What ControlNet was shown: the edges, depths or poses found in the picture."""

    @property
    def result(self) -> list[dict[str, Any]]:
        """One object a picture, as JSON: seed, width, height, labels."""
        return [one.details for one in self.pictures]


def _ignore(_: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Watch:
    """Who looks on while pictures are drawn, and who may stop it."""

    report: Callable[[Progress], None] = _ignore
    """Told after each step: phase "steps", steps of the whole request done and to do, seconds."""
    show: Callable[[Image, int], None] | None = None
    """Given a small preview of the picture under way and the number of its step, every few steps."""
    keep: Callable[[Picture], None] = _ignore
    """Given each picture as soon as it is finished, long before the others are."""
    note: Callable[[Sentence], None] = _ignore
    """Told at once what the result will note: memory ran out and what is done about it, say."""
    cancel: CancelToken = field(default_factory=CancelToken)
