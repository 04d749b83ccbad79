"""The working side of a job: what the work may report, and how its end is written down, whoever carries it."""

from __future__ import annotations

import dataclasses
import errno
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from core.errors import AtelierError, Cancelled
from core.events import CancelToken, Progress
from core.jobs.events import EventWriter
from core.jobs.folder import Ending, JobFolder, State
from core.redaction import Redactor
from core.words import Sentence, say

STOP_FILE_CHECK_SECONDS = 0.1
"""A stop file is looked for at most this often, so that work may poll as often as it likes."""


class StopToken(CancelToken):
    """A CancelToken that also turns when the job's stop file appears, and remembers whether the work saw it turn."""

    interrupted = "error.job_interrupted"
    """What is said of work that ended because its carrier had to."""

    def __init__(self, stop_file: Path) -> None:
        """Watch `stop_file`."""
        super().__init__()
        self._stop_file = stop_file
        self._next_look = 0.0
        self.seen = False
        self.closing = False
        """The server is going away; nobody asked this job to stop."""

    @property
    def cancelled(self) -> bool:
        """True once somebody asked to stop."""
        self.seen = self.seen or self.asked
        return self.seen

    @property
    def asked(self) -> bool:
        """The same, looked at from outside: the work has not seen it by this."""
        return self._event.is_set() or self._file_asks()

    def check_quietly(self) -> None:
        """Raise Cancelled if somebody asked, without counting as the work's having seen it."""
        if self.asked:
            raise Cancelled("error.cancelled")

    def close(self) -> None:
        """Stop the work because its server goes away."""
        self.closing = not self.asked
        self.cancel()

    def _file_asks(self) -> bool:
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + STOP_FILE_CHECK_SECONDS
        if self._stop_file.exists():
            self.cancel()
        return self._event.is_set()


class JobHandle:
    """What the work holds of its job: report, emit, log, and poll `cancel` in every phase.

    Nothing here raises for a write that fails: it is counted, and the log says so as soon as it can.
    """

    def __init__(self, folder: JobFolder, cancel: StopToken, redactor: Redactor) -> None:
        """Open the job's event file."""
        self.folder = folder.path
        self.result_folder = folder.result_folder
        self.cancel = cancel
        self.last_progress: Progress | None = None
        self.lost = 0
        self._log_file = folder.log_file
        self._lock = threading.Lock()
        self._redactor = redactor
        self._untold: list[str] = []
        self._events = self._open_events(folder.events_file)

    @property
    def events(self) -> int:
        """How many events are on disk."""
        return self._events.last if self._events else 0

    def report(self, progress: Progress) -> None:
        """Tell how far the work is."""
        self.last_progress = dataclasses.replace(progress, phase=self._redactor.text(progress.phase))
        self._attempt("event", lambda events: events.append_progress(self.last_progress or progress))

    def emit(self, name: str, payload: Any) -> None:
        """Tell something else, by a name of the work's own; `payload` is JSON-like (large results belong in files)."""
        if name == "progress":
            raise ValueError(name)
        safe = self._redactor.value(to_json(payload))
        self._attempt("event", lambda events: events.append(self._redactor.text(name), safe))

    def log(self, text: str) -> None:
        """Add lines to the job's log, each with its time."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        lines = "".join(f"{stamp} {line}\n" for line in self._redactor.text(text).splitlines())
        with self._lock:
            try:
                with self._log_file.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(self._lost_report(stamp) + lines)
                self._untold.clear()
            except OSError as error:
                self._count_lost("log lines", error)

    def close(self) -> None:
        """Close the event file, and say in the log what could not be written, if anything."""
        if self._events:
            self._events.close()
        if self._untold:
            self.log("")

    def _open_events(self, path: Path) -> EventWriter | None:
        try:
            return EventWriter(path)
        except OSError as error:
            self._count_lost("event file", error)
            return None

    def _writer(self) -> EventWriter:
        if self._events is None:
            raise OSError(errno.EBADF, "there is no event file")
        return self._events

    def _attempt(self, what: str, write: Callable[[EventWriter], None]) -> None:
        try:
            write(self._writer())
        except (OSError, ValueError) as error:  # ValueError: the file is closed, the job has ended
            with self._lock:
                self._count_lost(what, error)

    def _count_lost(self, what: str, error: Exception) -> None:
        self.lost += 1
        self._untold.append(f"{what}: {type(error).__name__}: {error}")

    def _lost_report(self, stamp: str) -> str:
        if not self._untold:
            return ""
        return f"{stamp} {len(self._untold)} writes failed; the last one: {self._redactor.text(self._untold[-1])}\n"


Work = Callable[[JobHandle], None]


def carry(folder: JobFolder, token: StopToken, redactor: Redactor, work: Work) -> tuple[Ending, bool]:
    """Do the work and write down how it ended; never raises. The bool tells whether exit.json could be written."""
    try:
        return _carry_out(folder, token, redactor, work)
    except Exception:  # a fault of ours, not of the work: it ends this job, never the line behind it
        logging.getLogger(__name__).exception("job %s: carrying it failed", folder.path.name)
        return end_untouched(folder, State.FAILED)


def _carry_out(folder: JobFolder, token: StopToken, redactor: Redactor, work: Work) -> tuple[Ending, bool]:
    handle = JobHandle(folder, token, redactor)
    began = time.monotonic()
    error = _outcome_of(folder, handle, work)
    state, sentence = _judge(error, token, redactor)
    if error is not None and state is State.FAILED:
        handle.log("".join(traceback.format_exception(error)))
    handle.close()
    seconds = time.monotonic() - began
    ending = Ending(state, seconds, time.time(), sentence, handle.last_progress, handle.events, handle.lost)
    return ending, write_ending(folder, ending)


def write_ending(folder: JobFolder, ending: Ending) -> bool:
    """Write exit.json; False if the disk does not let us (the job then counts as interrupted after a restart)."""
    try:
        folder.finish(ending)
    except OSError:
        return False
    return True


def end_untouched(folder: JobFolder, outcome: State) -> tuple[Ending, bool]:
    """Write down the end of work that never began."""
    ending = Ending(outcome, 0.0, time.time(), say("error.job_interrupted") if outcome is State.INTERRUPTED else None)
    return ending, write_ending(folder, ending)


def disk_is_full(error: BaseException | None) -> bool:
    """Tell whether `error` says that there is no room left, or no more room for us."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def to_json(value: Any) -> Any:
    """Make a value JSON-like: dataclasses and mappings to objects, paths and the rest to text, NaN to null."""
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    return _number_to_json(value) if isinstance(value, Real) else _collection_to_json(value)  # NumPy's are Real too


def _collection_to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(held) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(held) for held in value]
    return str(value)


def _number_to_json(value: Real) -> int | float | None:
    if isinstance(value, Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _outcome_of(folder: JobFolder, handle: JobHandle, work: Work) -> BaseException | None:
    try:
        handle.cancel.check_quietly()  # before the start
        folder.begin()
        work(handle)
    except BaseException as error:  # noqa: BLE001 whatever ends the work, its end must be written down
        return error
    # Work that saw the request and returned may have left half its result: that is no success.
    return Cancelled("error.cancelled") if handle.cancel.seen else None


def _judge(error: BaseException | None, token: StopToken, redactor: Redactor) -> tuple[State, Sentence | None]:
    if error is None:
        return State.SUCCEEDED, None
    if isinstance(error, Cancelled):
        return (State.INTERRUPTED, say(token.interrupted)) if token.closing else (State.CANCELLED, None)
    if isinstance(error, AtelierError):
        return State.FAILED, _redacted(error.sentence, redactor)
    if disk_is_full(error):
        return State.FAILED, say("error.job_disk_full")
    message = redactor.text(_words_of(error)).strip() or "-"
    return State.FAILED, say("error.job_failed", type=type(error).__name__, message=message)


def _words_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # noqa: BLE001 an exception that cannot be printed is still the end of the work
        return f"({type(fault).__name__} while reading its message)"


def _redacted(sentence: Sentence, redactor: Redactor) -> Sentence:
    values = {
        name: _redacted(value, redactor) if isinstance(value, Sentence) else to_json(value)
        for name, value in sentence.values.items()
    }
    plain = {name: held for name, held in values.items() if not isinstance(held, Sentence)}
    safe = Sentence(sentence.key, {**values, **redactor.value(plain)})
    try:
        str(safe)
    except (ValueError, TypeError):  # a value that was removed, or became text, may not fit its place any more
        return say("say.verbatim", text=redactor.text(str(sentence)))
    return safe
