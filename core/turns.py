"""Whose turn it is to compute."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BACKGROUND_PATIENCE = 1.0
"""Seconds that background work waits while somebody is being answered; then it gets a turn."""


@dataclass(eq=False)
class _Ticket:
    background: bool
    drawn: float = field(default_factory=time.monotonic)

    @property
    def last(self) -> bool:
        """Tell whether others go first: background work that has not waited for long."""
        return self.background and time.monotonic() - self.drawn < BACKGROUND_PATIENCE


class Turns:
    """A lock that is given in the order in which it was asked for, and to background work after all others."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: list[_Ticket] = []
        self._served: _Ticket | None = None
        self._next = threading.Condition()

    def __enter__(self) -> None:
        """Draw a number and wait for it."""
        self._wait(_Ticket(background=False))

    def __exit__(self, *_: object) -> None:
        """Call the next number."""
        with self._next:
            self._call()

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """Take a turn as background work."""
        self._wait(_Ticket(background=True))
        try:
            yield
        finally:
            self.__exit__()

    def give_way(self) -> None:
        """Let everybody who waits go first; only background work makes no other wait, unless it has waited for long."""
        with self._next:
            mine = self._served
            if mine is None or all(other.last and not mine.background for other in self._waiting):
                return
            self._call()
        self._wait(_Ticket(mine.background))

    def _wait(self, ticket: _Ticket) -> None:
        with self._next:
            self._waiting.append(ticket)
            if self._served is None:
                self._call()
            self._next.wait_for(lambda: self._served is ticket)

    def _call(self) -> None:
        """Serve who has waited longest, those in a hurry first; the lock is held."""
        waiting = sorted(self._waiting, key=lambda ticket: ticket.last)
        self._served = waiting[0] if waiting else None
        if waiting:
            self._waiting.remove(waiting[0])
            self._next.notify_all()
