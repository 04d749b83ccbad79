"""One job on disk, and the state that its files and its process add up to.

    job.json       what was asked: kind, settings, versions, carrier, the process that carries it, owner
    launch.json    the process that was started for it, until the work begins in it (carrier: process)
    events.jsonl   what it reported (core/jobs/events.py)
    log.txt        what it printed
    stop           somebody asked to stop
    exit.json      how it ended, written by the work itself as its last act; exit-1.json … how earlier attempts did
    result/        what it made

Who carries the work does not matter here: a thread of the server or a process of its own leave the same files.
No file ever holds a secret, and an owner only as a digest: whoever reads the folder cannot pass for a visitor.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.jobs.events import Event, Tail, read_after, read_tail
from core.jobs.files import written_whole
from core.jobs.records import (
    Carrier,
    Ending,
    ProcessMark,
    Record,
    State,
    ending_from_json,
    interrupted_ending,
    mark_from_json,
    record_from_json,
    sentence_to_json,
    waits_for_process,
)

__all__ = ["Carrier", "Ending", "JobFolder", "ProcessMark", "Record", "Snapshot", "State", "interrupted_ending"]


@dataclass(frozen=True)
class Snapshot:
    """One look at a job's files."""

    record: Record
    ending: Ending | None
    state: State
    launched: bool = False
    """A process was started for it, and its work has not begun."""


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
    def exit_file(self) -> Path:
        """The file that says how it ended."""
        return self.path / "exit.json"

    @property
    def launch_file(self) -> Path:
        """The file that names the process which was started for the job."""
        return self.path / "launch.json"

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
        _write_whole(self.exit_file, {**asdict(ending), "error": sentence_to_json(ending.error)})

    def write_launch(self, process: ProcessMark) -> None:
        """Say which process was started for the job; raises OSError."""
        _write_whole(self.launch_file, asdict(process))

    def launched(self) -> ProcessMark | None:
        """Return the process that was started for the job; None before, and when the file makes no sense."""
        try:
            return mark_from_json(_read_whole(self.launch_file))
        except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, RecursionError):
            return None

    def ask_stop(self) -> None:
        """Leave the request to stop; asking twice is asking once; raises OSError."""
        self.stop_file.touch()

    def record(self) -> Record:
        """Read job.json; raises FileNotFoundError without one, ValueError when it makes no sense."""
        try:
            record = record_from_json(_read_whole(self.path / "job.json"))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if record.id != self.path.name:  # what is found under one name must not be worked on under another
            raise ValueError("id")
        return record

    def ending(self) -> Ending | None:
        """Read exit.json; None while there is none, and when it makes no sense: unknown is never success."""
        try:
            return ending_from_json(_read_whole(self.exit_file))
        except (FileNotFoundError, IsADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def look(self) -> Snapshot:
        """Read the files and add up the state; raises FileNotFoundError or ValueError as `record` does."""
        record, ending = self.record(), self.ending()
        launched = self.launched() if ending is None and waits_for_process(record) else None
        if ending is None and not self._carried(record, launched):
            if self.record() != record:  # it begins, or begins again, this very moment
                return self.look()
            ending = self.ending()  # it may have been written between the first look and the death
            return Snapshot(record, ending, ending.outcome if ending else State.INTERRUPTED, launched is not None)
        state = ending.outcome if ending else self._live_state(record, launched)
        return Snapshot(record, ending, state, launched is not None)

    def events_after(self, after: int, limit: int) -> list[Event]:
        """Return at most `limit` events numbered above `after`."""
        return read_after(self.events_file, after, limit)

    def tail(self) -> Tail:
        """Return the last event's number and time, and the last Progress."""
        return read_tail(self.events_file)

    def bytes_used(self) -> int:
        """Add up the sizes of all files below the folder; what vanishes meanwhile counts as nothing."""
        return sum(_size(Path(folder) / name) for folder, _, names in os.walk(self.path) for name in names)

    def _carried(self, record: Record, launched: ProcessMark | None) -> bool:
        if waits_for_process(record):
            return launched is None or launched.lives()  # in line it needs nobody: the next server finds it there
        # Our own mark needs no look-up, and must not: a clock that was set meanwhile would move our start time.
        return record.process == self.here or record.process.lives()

    def _live_state(self, record: Record, launched: ProcessMark | None) -> State:
        if self.stop_file.exists():
            return State.STOPPING
        return State.QUEUED if record.started is None and launched is None else State.RUNNING


def _write_whole(path: Path, value: Any) -> None:
    with written_whole(path) as draft:
        draft.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8", errors="replace")


def _read_whole(path: Path) -> dict[str, Any]:
    held = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(held, dict):
        raise ValueError(path.name)  # noqa: TRY004 a damaged file, not a wrong call
    return held


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
