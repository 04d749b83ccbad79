"""What drawing takes: the most memory that was held at once, and the time of a step."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.machine.memory import resident_bytes
from core.models.loading import LoadedModel

LOOK_SECONDS = 0.02
"""How often main memory is looked at; what lives shorter is missed."""


@dataclass
class Meter:
    """Counts while work runs."""

    weights: int
    peak: int = 0
    """Bytes beside the weights."""
    step_seconds: list[float] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Weights and work, at most."""
        return self.weights + self.peak

    @property
    def seconds_per_step(self) -> float:
        """The median, so that a first step or a wait for others does not count."""
        return statistics.median(self.step_seconds) if self.step_seconds else 0.0


@contextmanager
def measured(model: LoadedModel) -> Iterator[Meter]:
    """Measure the most that is held beside the weights until the block ends: by the GPU's own count, or by looking."""
    meter = Meter(model.tensor_bytes)
    watch = _on_gpu if model.placement.device.startswith("cuda") else _in_main_memory
    with watch(meter, model.placement.device):
        yield meter


@contextmanager
def _on_gpu(meter: Meter, device: str) -> Iterator[None]:
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    try:
        yield
    finally:
        meter.peak = max(torch.cuda.max_memory_allocated(device) - before, 0)


@contextmanager
def _in_main_memory(meter: Meter, _: str) -> Iterator[None]:
    """Look at the process from a thread; others that compute meanwhile count along."""
    before, over = resident_bytes(), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            meter.peak = max(meter.peak, resident_bytes() - before)

    thread = threading.Thread(target=look, name="atelier-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        meter.peak = max(meter.peak, resident_bytes() - before)
