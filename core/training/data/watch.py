"""Who watches while data is read and tokenized: reports go there, and a wish to stop comes from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from core.events import CancelToken, Progress

T = TypeVar("T")
POLLED_EVERY = 256
"""Rows between two looks at the stop flag: a flag may be a file."""


def _unheard(_: Progress) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Watch:
    """Reports progress and asks whether to go on."""

    report: Callable[[Progress], None] = _unheard
    cancel: CancelToken = field(default_factory=CancelToken)

    def over(self, phase: str, items: Iterable[T], total: int = 0) -> Iterator[T]:
        """Give the items one by one, with a report and a look at the stop flag now and then; raises Cancelled."""
        started = time.perf_counter()
        done = 0
        for done, item in enumerate(items, start=1):
            if done % POLLED_EVERY == 1:
                self.tell(phase, done - 1, total, time.perf_counter() - started)
            yield item
        self.tell(phase, done, total or done, time.perf_counter() - started)

    def tell(self, phase: str, done: int, total: int, seconds: float = 0.0) -> None:
        """Report once; raises Cancelled where somebody asked to stop."""
        self.cancel.check()
        self.report(Progress(phase, done, total, seconds))
