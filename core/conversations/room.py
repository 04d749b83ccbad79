"""How much room conversations take: counted once for each visitor, then kept current with every change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from core.conversations.file import SUFFIX
from core.jobs.shelf import is_job_id


class Room:
    """Bytes below one folder, by visitor; whoever uses it lets no two threads do so at once."""

    def __init__(self, folder: Path) -> None:
        """Count nothing yet: that is done when somebody asks for the first time."""
        self._folder = folder
        self._used: dict[Path, int] | None = None
        self._total = 0

    @property
    def total(self) -> int:
        """What all visitors keep together."""
        self._counted()
        return self._total

    def of(self, home: Path) -> int:
        """Return what the visitor of this folder keeps."""
        return self._counted().get(home, 0)

    def look_again(self, home: Path) -> int:
        """Count one folder anew, for somebody else may have written there, and return what is in it."""
        self._change(home, sum(map(size_of, kept_in(home))) - self.of(home))
        return self.of(home)

    def changed(self, home: Path, more: int) -> None:
        """Note that so many bytes came, or went if they are less than 0."""
        if self._used is not None:  # else they are found when all are counted
            self._change(home, more)

    def largest_first(self) -> list[Path]:
        """Return the folders of all visitors who keep something, those who keep most first."""
        used = self._counted()
        return sorted(used, key=used.__getitem__, reverse=True)

    def _change(self, home: Path, more: int) -> None:
        used = self._counted()
        used[home] = used.get(home, 0) + more
        self._total += more
        if not used[home]:
            del used[home]

    def _counted(self) -> dict[Path, int]:
        if self._used is None:
            self._used = {}
            for path in self.paths():
                self._change(path.parent, size_of(path))
        return self._used

    def paths(self) -> Iterator[Path]:
        """Give every conversation that is kept, anybody's."""
        for home in self._folder.glob("*"):
            yield from kept_in(home)


def kept_in(home: Path) -> list[Path]:
    """Return the conversations in one visitor's folder."""
    return [path for path in home.glob(f"*{SUFFIX}") if is_job_id(path.name.removesuffix(SUFFIX))]


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def changed_at(path: Path) -> float:
    """Return when a file was changed last, in seconds since 1970; now, if it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
