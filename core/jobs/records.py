"""What is written down of a job: its record, its end, and the process that carries it.

Reading raises TypeError, ValueError or KeyError for what makes no sense; core/jobs/folder.py says what that means.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psutil  # type: ignore[import-untyped]

from core.events import Progress
from core.jobs.events import Tail, read_progress
from core.words import Sentence, say

LARGEST_NUMBER = 1e15
"""Seconds since 1970 and seconds of work are smaller; what is larger, infinite or NaN was never written by us."""
SAME_START_SECONDS = 2.0
"""Start times this close are equal: the system's boot time, which they count from, wavers by a second."""


class State(StrEnum):
    """Where a job is; nothing else exists, and what is unknown is `interrupted`."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def alive(self) -> bool:
        """True while the job may still do something."""
        return self in (State.QUEUED, State.RUNNING, State.STOPPING)


class Carrier(StrEnum):
    """What carries the work: a thread dies with the server, a process outlives it."""

    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True)
class ProcessMark:
    """One process, told apart from a later one that got the same number; `started` in seconds since 1970."""

    pid: int
    started: float

    @classmethod
    def here(cls) -> ProcessMark:
        """Mark the calling process."""
        return cls(os.getpid(), psutil.Process().create_time())

    def lives(self) -> bool:
        """Tell whether this very process still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= SAME_START_SECONDS
            return same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        except (psutil.NoSuchProcess, ValueError):
            return False
        except psutil.AccessDenied:
            return False  # every process of ours can be read: this one belongs to somebody else


@dataclass(frozen=True)
class Record:
    """What job.json holds; times in seconds since 1970, `started` None until the work begins."""

    id: str
    kind: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    carrier: Carrier
    process: ProcessMark
    created: float
    started: float | None = None
    owner: str | None = None
    once: str | None = None
    device: str | None = None
    """In which line a process waits."""
    command: tuple[str, ...] = ()
    """How its process is started (core/jobs/process.py)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    bytes_needed: int = 0
    """Room on disk that it will take."""
    attempt: int = 1
    earlier_seconds: float = 0.0
    """Seconds of work in earlier attempts."""
    queued: float | None = None
    """When it was resumed last, and so where it stands in line."""

    @property
    def place(self) -> tuple[float, str]:
        """Sort a line by this: who came first."""
        return self.queued or self.created, self.id


@dataclass(frozen=True)
class Ending:
    """What exit.json holds: how it ended, after how many seconds of work, and what it had done by then."""

    outcome: State
    seconds: float
    ended: float
    error: Sentence | None = None
    progress: Progress | None = None
    events: int = 0
    lost: int = 0
    """Events and log lines that could not be written."""


def waits_for_process(record: Record) -> bool:
    """Tell whether this is a job for a process of its own whose work has not begun."""
    return record.carrier is Carrier.PROCESS and record.started is None


def interrupted_ending(record: Record, tail: Tail) -> Ending:
    """Say of work that died without a word how far it had come, as its last event tells."""
    began = record.started or record.created
    seconds = max((tail.time or began) - began, 0.0) if record.started else 0.0
    by_server = record.carrier is Carrier.THREAD
    error = say("error.job_interrupted" if by_server else "error.job_process_gone")
    return Ending(State.INTERRUPTED, seconds, tail.time or began, error, tail.progress, tail.seq)


def record_from_json(held: dict[str, Any]) -> Record:
    """Read job.json back."""
    process = mark_from_json(held.pop("process"))
    command = tuple(str(argument) for argument in held.get("command", ()))
    record = Record(**{**held, "carrier": Carrier(held["carrier"]), "process": process, "command": command})
    _require(record, str, "kind")
    _require(record, str | None, "owner", "once", "device")
    _require(record, Mapping, "settings", "versions", "environment")
    _require(record, int, "attempt", "bytes_needed")
    _require_numbers(record, "created", "earlier_seconds")
    _require_numbers(record, *(name for name in ("started", "queued") if getattr(record, name) is not None))
    return record


def mark_from_json(held: dict[str, Any]) -> ProcessMark:
    """Read a process back."""
    mark = ProcessMark(**held)
    _require(mark, int, "pid")
    _require_numbers(mark, "started")
    return mark


def ending_from_json(held: dict[str, Any]) -> Ending:
    """Read exit.json back."""
    outcome = State(held["outcome"])
    if outcome.alive:
        raise ValueError(outcome)
    error, progress = sentence_from_json(held["error"]), read_progress(held["progress"])
    ending = Ending(**{**held, "outcome": outcome, "error": error, "progress": progress})
    _require_numbers(ending, "seconds", "ended")
    _require(ending, int, "events", "lost")
    return ending


def _require(read: Any, kind: Any, *names: str) -> None:
    """Raise TypeError unless what was read is of the type that everybody who asks for it counts on."""
    for name in names:
        if not isinstance(getattr(read, name), kind):
            raise TypeError(name)


def _require_numbers(read: Any, *names: str) -> None:
    """Raise TypeError for what is no number, ValueError for NaN and beyond: they are sorted and subtracted."""
    _require(read, int | float, *names)
    for name in names:
        if not abs(getattr(read, name)) < LARGEST_NUMBER:
            raise ValueError(name)


def sentence_to_json(sentence: Sentence | None) -> Any:
    """Return a sentence as key, values and English words, so that it can be said in any language later."""
    if sentence is None:
        return None
    values = {
        name: {"sentence": sentence_to_json(value)} if isinstance(value, Sentence) else value
        for name, value in sentence.values.items()
    }
    return {"key": sentence.key, "values": values, "text": str(sentence)}


def sentence_from_json(held: Any) -> Sentence | None:
    """Read a sentence back; one that a later version no longer knows is kept in its English words."""
    if held is None:
        return None
    values = {
        name: sentence_from_json(value["sentence"]) if isinstance(value, dict) and "sentence" in value else value
        for name, value in held["values"].items()
    }
    sentence = Sentence(held["key"], values)
    try:
        str(sentence)
    except (LookupError, ValueError, TypeError, AttributeError):
        return say("say.verbatim", text=str(held["text"]))
    return sentence
