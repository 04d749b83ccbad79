"""One job on disk, and the state that its files and its process add up to.

    job.json       what was asked: kind, settings, versions, carrier, the process that carries it, owner
    events.jsonl   what it reported (core/jobs/events.py)
    log.txt        what it printed
    stop           somebody asked to stop
    exit.json      how it ended, written by the work itself as its last act
    result/        what it made

Who carries the work does not matter here: a thread of the server or a process of its own leave the same files.
No file ever holds a secret, and an owner only as a digest: whoever reads the folder cannot pass for a visitor.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from core.events import Progress
from core.jobs.events import Event, Tail, read_after, read_progress, read_tail
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


@dataclass(frozen=True)
class Snapshot:
    """One look at a job's files."""

    record: Record
    ending: Ending | None
    state: State


@dataclass(frozen=True)
class JobFolder:
    """Reads and writes the files of one job; `here` is the calling process."""

    path: Path
    here: ProcessMark = field(default_factory=ProcessMark.here)

    @property
    def events_file(self) -> Path:
        """Where the events are."""
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """Where the log is."""
        return self.path / "log.txt"

    @property
    def stop_file(self) -> Path:
        """The file whose presence asks the work to stop."""
        return self.path / "stop"

    @property
    def result_folder(self) -> Path:
        """Where the work leaves what it made."""
        return self.path / "result"

    def write_record(self, record: Record) -> None:
        """Replace job.json in one step; raises OSError."""
        _write_whole(self.path / "job.json", asdict(record))

    def begin(self) -> None:
        """Say that the calling process begins the work now; raises OSError."""
        self.write_record(replace(self.record(), process=self.here, started=time.time()))

    def finish(self, ending: Ending) -> None:
        """Write exit.json in one step; raises OSError."""
        _write_whole(self.path / "exit.json", {**asdict(ending), "error": _sentence_to_json(ending.error)})

    def ask_stop(self) -> None:
        """Leave the request to stop; asking twice is asking once; raises OSError."""
        self.stop_file.touch()

    def record(self) -> Record:
        """Read job.json; raises FileNotFoundError without one, ValueError when it makes no sense."""
        try:
            record = _record_from_json(_read_whole(self.path / "job.json"))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if record.id != self.path.name:  # what is found under one name must not be worked on under another
            raise ValueError("id")
        return record

    def ending(self) -> Ending | None:
        """Read exit.json; None while there is none, and when it makes no sense: unknown is never success."""
        try:
            return _ending_from_json(_read_whole(self.path / "exit.json"))
        except (FileNotFoundError, IsADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def look(self) -> Snapshot:
        """Read the files and add up the state; raises FileNotFoundError or ValueError as `record` does."""
        record, ending = self.record(), self.ending()
        if ending is None and not self._carried(record.process):
            ending = self.ending()  # it may have been written between the first look and the death
            return Snapshot(record, ending, ending.outcome if ending else State.INTERRUPTED)
        return Snapshot(record, ending, ending.outcome if ending else self._live_state(record))

    def events_after(self, after: int, limit: int) -> list[Event]:
        """Return at most `limit` events numbered above `after`."""
        return read_after(self.events_file, after, limit)

    def tail(self) -> Tail:
        """Return the last event's number and time, and the last Progress."""
        return read_tail(self.events_file)

    def bytes_used(self) -> int:
        """Add up the sizes of all files below the folder; what vanishes meanwhile counts as nothing."""
        return sum(_size(Path(folder) / name) for folder, _, names in os.walk(self.path) for name in names)

    def _carried(self, process: ProcessMark) -> bool:
        # Our own mark needs no look-up, and must not: a clock that was set meanwhile would move our start time.
        return process == self.here or process.lives()

    def _live_state(self, record: Record) -> State:
        if self.stop_file.exists():
            return State.STOPPING
        return State.QUEUED if record.started is None else State.RUNNING


def interrupted_ending(record: Record, tail: Tail) -> Ending:
    """Say of work that died without a word how far it had come, as its last event tells."""
    began = record.started or record.created
    seconds = max((tail.time or began) - began, 0.0)
    return Ending(State.INTERRUPTED, seconds, tail.time or began, say("error.job_interrupted"), tail.progress, tail.seq)


def _write_whole(path: Path, value: Any) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8", errors="replace") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read_whole(path: Path) -> dict[str, Any]:
    held = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(held, dict):
        raise ValueError(path.name)  # noqa: TRY004 a damaged file, not a wrong call
    return held


def _record_from_json(held: dict[str, Any]) -> Record:
    process = ProcessMark(**held.pop("process"))
    record = Record(**{**held, "carrier": Carrier(held["carrier"]), "process": process})
    _require(record, str, "kind")
    _require(record, str | None, "owner", "once")
    _require(record, Mapping, "settings", "versions")
    _require_numbers(record, "created", *(() if record.started is None else ("started",)))
    _require(process, int, "pid")
    _require_numbers(process, "started")
    return record


def _ending_from_json(held: dict[str, Any]) -> Ending:
    outcome = State(held["outcome"])
    if outcome.alive:
        raise ValueError(outcome)
    error, progress = _sentence_from_json(held["error"]), read_progress(held["progress"])
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


def _sentence_to_json(sentence: Sentence | None) -> Any:
    if sentence is None:
        return None
    values = {
        name: {"sentence": _sentence_to_json(value)} if isinstance(value, Sentence) else value
        for name, value in sentence.values.items()
    }
    return {"key": sentence.key, "values": values, "text": str(sentence)}


def _sentence_from_json(held: Any) -> Sentence | None:
    """Read a sentence back; one that a later version no longer knows is kept in its English words."""
    if held is None:
        return None
    values = {
        name: _sentence_from_json(value["sentence"]) if isinstance(value, dict) and "sentence" in value else value
        for name, value in held["values"].items()
    }
    sentence = Sentence(held["key"], values)
    try:
        str(sentence)
    except (LookupError, ValueError, TypeError, AttributeError):
        return say("say.verbatim", text=str(held["text"]))
    return sentence


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
