"""Whose turn it is to compute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

BACKGROUND_PATIENCE = 1.0
"""Seconds that background work waits while somebody is being answered; then it gets a turn."""


class Patience:
    """How long background work has waited, and whether that was long enough to be next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to wait; `clock` gives seconds."""
        self._clock = clock
        self._since = clock()

    def begin(self) -> None:
        """Begin to wait anew."""
        self._since = self._clock()

    @property
    def over(self) -> bool:
        """Tell whether it has waited for BACKGROUND_PATIENCE."""
        return self._clock() - self._since >= BACKGROUND_PATIENCE


@dataclass(eq=False)
class _Ticket:
    background: Callable[[], bool]
    patience: Patience = field(default_factory=Patience)

    @property
    def last(self) -> bool:
        """Tell whether others go first: background work that has not waited for long."""
        return self.background() and not self.patience.over


class Turns:
    """A lock that is given in the order in which it was asked for, and to background work after all others."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: list[_Ticket] = []
        self._served: _Ticket | None = None
        self._next = threading.Condition()

    def __enter__(self) -> None:
        """Draw a number and wait for it."""
        self._wait(_Ticket(lambda: False))

    def __exit__(self, *_: object) -> None:
        """Call the next number."""
        with self._next:
            self._call()

    @contextmanager
    def in_background(self, still: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Take a turn as background work, as long as `still` says that it is; it may be asked from any thread."""
        self._wait(_Ticket(still))
        try:
            yield
        finally:
            self.__exit__()

    def give_way(self) -> None:
        """Let everybody who waits go first; only background work makes no other wait, unless it has waited for long."""
        with self._next:
            mine = self._served
            if mine is None or all(other.last and not mine.background() for other in self._waiting):
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


@dataclass(eq=False)
class Share(Generic[T]):
    """One of those who work in steps, and the seconds that its steps took, or were taken to begin with."""

    one: T
    background: bool
    clock: Callable[[], float]
    spent: float = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count the time that the block takes."""
        began = self.clock()
        try:
            yield
        finally:
            self.spent += self.clock() - began


class Shares(Generic[T]):
    """Whose step is next among several: the one that had the least time, so that all have a like share of it.

    Those in the background come when nobody else is there, or when they have waited for BACKGROUND_PATIENCE.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nobody; `clock` gives seconds."""
        self._shares: list[Share[T]] = []
        self._clock = clock
        self._patience = Patience(clock)
        """Of the background."""
        self._in_background = False
        """The latest step was one in the background."""

    def __bool__(self) -> bool:
        """Tell whether anybody is there."""
        return bool(self._shares)

    @property
    def urgent(self) -> bool:
        """Tell whether anybody is there who is not in the background."""
        return any(not share.background for share in self._shares)

    def find(self, wanted: Callable[[T], bool], *, background: bool) -> T | None:
        """Return who is wanted, None if nobody is."""
        return next((share.one for share in self._shares if share.background == background and wanted(share.one)), None)

    def join(self, one: T, *, background: bool) -> None:
        """Let one more share the time from now on: it does not catch up on what the others had before."""
        if background and not any(share.background for share in self._shares):
            self._patience.begin()
        spent = min((share.spent for share in self._shares if share.background == background), default=0.0)
        self._shares.append(Share(one, background, self._clock, spent))

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Let all others go."""
        self._shares = [share for share in self._shares if wanted(share.one)]

    def next(self, *, hurried: bool = False) -> Share[T] | None:
        """Return whose step is next; `hurried`: somebody else waits who goes before the background."""
        due = not self._in_background and self._patience.over
        if self._in_background:
            self._patience.begin()  # its step ended just now, however long it took
        waits = any(share.background for share in self._shares)
        self._in_background = waits and (due or not (hurried or self.urgent))
        found = [share for share in self._shares if share.background == self._in_background]
        return min(found, key=lambda share: share.spent, default=None)
