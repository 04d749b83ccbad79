"""A job's events on disk: one JSON object per line, appended whole, read from any point on.

A line is `{"seq": 1, "time": 1700000000.0, "name": "progress", "payload": {…}}`; `seq` counts from 1 without gaps.
A line that does not end, or makes no sense, was torn by a sudden death and counts as never written.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from core.events import Progress

PROGRESS = "progress"
"""The event name that carries a Progress; every other name is the work's own."""
_NEAR = 4096
_TAIL = 16_384


@dataclass(frozen=True)
class Event:
    """One thing that a job reported; `time` in seconds since 1970."""

    seq: int
    time: float
    name: str
    payload: Any

    @property
    def progress(self) -> Progress | None:
        """The Progress that this event carries, if it carries one."""
        return read_progress(self.payload) if self.name == PROGRESS else None


@dataclass(frozen=True)
class Tail:
    """Where a job's events stand: last number (0 = none yet), its time, and the last Progress."""

    seq: int = 0
    time: float | None = None
    progress: Progress | None = None


def read_progress(payload: Any) -> Progress | None:
    """Read a Progress back from its JSON form; None if it is none."""
    try:
        return Progress(str(payload["phase"]), int(payload["done"]), int(payload["total"]), float(payload["seconds"]))
    except (KeyError, TypeError, ValueError, OverflowError):  # OverflowError: JSON may hold Infinity
        return None


class EventWriter:
    """Appends events to one file; safe to call from several threads.

    Every event is handed to the system before `append` returns, so killing the process loses at most the one being
    written. Nothing is flushed to the platter: a power cut may lose more.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` and go on counting where an earlier writer stopped; raises OSError."""
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)
        self._torn = _ends_torn(path)
        self.last = read_tail(path).seq

    def append(self, name: str, payload: Any) -> None:
        """Write one event; raises OSError (its number is then given to the next one)."""
        with self._lock:
            event = {"seq": self.last + 1, "time": time.time(), "name": name, "payload": payload}
            line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"
            self._write(b"\n" + line if self._torn else line)
            self._torn = False
            self.last += 1

    def append_progress(self, progress: Progress) -> None:
        """Write a Progress; raises OSError."""
        self.append(PROGRESS, asdict(progress))

    def close(self) -> None:
        """Close the file; a later `append` raises ValueError."""
        with self._lock:
            self._file.close()

    def _write(self, line: bytes) -> None:
        written = self._file.write(line)
        if written != len(line):
            self._torn = self._torn or bool(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_after(path: Path, after: int, limit: int) -> list[Event]:
    """Return at most `limit` events numbered above `after`, without reading what lies before them."""
    events: list[Event] = []
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return events
    with file:
        file.seek(_offset_near(file, after))
        while len(events) < limit and (line := file.readline()):
            event = _parse(line)
            if event and event.seq > after:
                events.append(event)
    return events


def read_tail(path: Path) -> Tail:
    """Return where the events stand, reading backwards until a Progress turns up."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Tail()
    with file:
        size = file.seek(0, os.SEEK_END)
        reach = _TAIL
        tail = _tail_within(file, size, reach)
        while reach < size and not (tail.seq and tail.progress):
            reach *= 8
            tail = _tail_within(file, size, reach)
    return tail


def _tail_within(file: BinaryIO, size: int, reach: int) -> Tail:
    start = max(size - reach, 0)
    file.seek(start)
    # Not at the beginning of the file, the first piece may be half a line: it makes no sense and drops out.
    lines = file.read(size - start).splitlines(keepends=True)
    last: Event | None = None
    for line in reversed(lines):
        event = _parse(line)
        last = last or event
        if event and event.progress and last:
            return Tail(last.seq, last.time, event.progress)
    return Tail(last.seq, last.time) if last else Tail()


def _parse(line: bytes) -> Event | None:
    if not line.endswith(b"\n"):
        return None
    try:
        held = json.loads(line)
        return Event(int(held["seq"]), float(held["time"]), str(held["name"]), held["payload"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _offset_near(file: BinaryIO, after: int) -> int:
    """Return the start of a line at or shortly before the first event above `after`: numbers only grow, so bisect."""
    low, high = 0, file.seek(0, os.SEEK_END) if after > 0 else 0
    while high - low > _NEAR:
        middle = (low + high) // 2
        start, event = _first_event_from(file, middle)
        if event and event.seq <= after:
            low = start
        else:
            high = middle
    return low


def _first_event_from(file: BinaryIO, position: int) -> tuple[int, Event | None]:
    file.seek(position - 1)
    file.readline()  # the rest of the line that `position` fell into
    while True:
        start = file.tell()
        line = file.readline()
        event = _parse(line)
        if event or not line:
            return start, event


def _ends_torn(path: Path) -> bool:
    size = path.stat().st_size
    if not size:
        return False
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) != b"\n"
