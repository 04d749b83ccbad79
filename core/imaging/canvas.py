"""What there is before drawing begins: nothing, a picture, a picture with a mask, or a condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.imaging.sizes import Size
from core.words import Sentence

if TYPE_CHECKING:
    from PIL.Image import Image


def _nothing(_: Size) -> dict[str, Any]:
    return {}


def _as_it_is(image: Image) -> Image:
    return image


@dataclass(frozen=True)
class Canvas:
    """What one skill brings to the drawing that all of them share."""

    task: str
    shape: Size | None = None
    """Size of the picture that the proportions come from."""
    arguments: Callable[[Size], dict[str, Any]] = _nothing
    """What the pipeline is called with besides, at a size."""
    finish: Callable[[Image], Image] = _as_it_is
    """What is done to each finished picture."""
    strength: float | None = None
    """Part of the steps that are run, where a picture is begun with."""
    begin: Image | None = None
    """The picture that drawing begins with."""
    network: Any = None
    """A ControlNet."""
    notes: tuple[Sentence, ...] = ()
    condition: Image | None = None
    """What the ControlNet is shown."""

    def steps(self, asked: int) -> int:
        """Return how many of the steps asked for are run."""
        return asked if self.strength is None else min(int(asked * self.strength), asked)
