"""What long work reports while it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from core.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """So much is done: `done` of `total` units (total 0 = unknown), `seconds` since the work began."""

    phase: str
    done: int
    total: int
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Units per second so far (0 before the first)."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """Estimated seconds to the end, or None while nothing can be said."""
        if not self.rate or not self.total:
            return None
        return max(self.total - self.done, 0) / self.rate


class CancelToken:
    """A stop request that travels with the work; poll it in every phase."""

    def __init__(self) -> None:
        """Begin unset."""
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once somebody asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if somebody asked to stop."""
        if self.cancelled:
            raise Cancelled("error.cancelled")
