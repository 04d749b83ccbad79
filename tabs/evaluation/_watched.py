"""Which evaluation an open page looks at: whoever begins to look at another no longer looks at the first."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


class Watched:
    """The newest watching of each page; an older one ends at its next step, for both would write into one view."""

    def __init__(self) -> None:
        """Begin with no page."""
        self._newest: dict[str, object] = {}

    def alone(self, page: str, steps: Iterable[T]) -> Generator[T]:
        """Pass steps on until they end, or until this page begins to watch something else."""
        mine = self._newest[page] = object()
        try:
            for step in steps:
                if self._newest.get(page) is not mine:
                    return
                yield step
        finally:
            if self._newest.get(page) is mine:
                del self._newest[page]
