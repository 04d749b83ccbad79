"""What happens between two steps: others get a turn, a stop is heard, progress is told and a preview shown."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.events import Progress
from core.imaging.cost import Meter
from core.imaging.estimate import clean_latents
from core.imaging.pictures import Watch
from core.imaging.preview import preview
from core.imaging.sizes import Size

if TYPE_CHECKING:
    import torch

PHASE = "steps"
PREVIEW_SECONDS = 0.25
"""A preview is shown no more often than this."""


@dataclass
class Stepping:
    """Counts the steps of a whole request, picture after picture."""

    watch: Watch
    total: int
    """Steps of all pictures together, as far as is known before."""
    done: int = 0
    decoding: bool = False
    """The latest drawing has taken its last step."""
    began: float = field(default_factory=time.perf_counter)
    _shown: float = 0.0

    @contextmanager
    def over(self, pipeline: Any, one: Drawing) -> Iterator[None]:
        """Listen to the steps of one call of `pipeline`, by its scheduler, which belongs to this call alone.

        A scheduler is what all pipelines call once a step; not all of them know callbacks.
        """
        self.decoding = False
        plain = pipeline.scheduler.step
        begun = time.perf_counter()
        count = 0

        @functools.wraps(plain)  # pipelines look at its signature
        def step(output: torch.Tensor, timestep: Any, sample: torch.Tensor, *rest: Any, **options: Any) -> Any:
            nonlocal begun, count
            answer = plain(output, timestep, sample, *rest, **options)
            count += 1
            calls = _calls(pipeline.scheduler, one)
            steps = math.ceil(count * one.steps / calls)
            one.meter.step_seconds.append(time.perf_counter() - begun)
            self._tell(steps, one)
            self._show(pipeline, one, (output, timestep, sample), count)
            self.watch.cancel.check()
            self.decoding = count >= calls
            one.give_way()
            begun = time.perf_counter()
            return answer

        pipeline.scheduler.step = step
        before = self.done
        try:
            yield
        finally:
            del pipeline.scheduler.step
        self.done = before + one.steps

    def _tell(self, count: int, one: Drawing) -> None:
        done = self.done + min(count, one.steps)
        self.watch.report(Progress(PHASE, done, max(self.total, done), time.perf_counter() - self.began))

    def _show(self, pipeline: Any, one: Drawing, seen: tuple[Any, Any, Any], count: int) -> None:
        now = time.perf_counter()
        if self.watch.show is None or now - self._shown < PREVIEW_SECONDS:
            return
        self._shown = now
        scheduler = pipeline.scheduler
        place = getattr(scheduler, "step_index", None)
        latents = clean_latents(scheduler, *seen, (count if place is None else place) - 1)
        image = preview(pipeline, latents, one.size, one.kept)
        if image is not None:
            self.watch.show(image, count)


def _calls(scheduler: Any, one: Drawing) -> int:
    """Return how often a scheduler is called for so many steps: some take a step in two halves, or one step more."""
    skipped = (one.asked - one.steps) * getattr(scheduler, "order", 1)
    return max(len(scheduler.timesteps) - skipped, 1)


@dataclass(frozen=True)
class Drawing:
    """One call of a pipeline, as its steps see it."""

    size: Size
    asked: int
    """Steps of the schedule."""
    steps: int
    """Those that are run: less where a picture is begun with."""
    meter: Meter
    give_way: Callable[[], None]
    kept: dict[str, Any]
    """What is kept with the model: the map of its previews."""
