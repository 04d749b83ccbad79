"""Whose turn it is to compute."""

from __future__ import annotations

import threading


class Turns:
    """A lock that is given in the order in which it was asked for, as numbers are drawn at a counter."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._drawn = self._served = 0
        self._next = threading.Condition()

    def __enter__(self) -> None:
        """Draw a number and wait for it."""
        with self._next:
            mine, self._drawn = self._drawn, self._drawn + 1
            self._next.wait_for(lambda: self._served == mine)

    def __exit__(self, *_: object) -> None:
        """Call the next number."""
        with self._next:
            self._served += 1
            self._next.notify_all()

    def give_way(self) -> None:
        """Let everybody who waits go first."""
        with self._next:
            waits = self._drawn > self._served + 1
        if waits:
            self.__exit__()
            self.__enter__()
