"""The child's side of a job: a process that carries the work in its folder, whoever started it.

    def train(job: JobHandle) -> None: ...      # polls job.cancel in every phase; heavy imports happen in here
    sys.exit(carry_here(folder, train))

Of several processes that work together (`accelerate launch`), the one with RANK 0 writes; the others are silent, and
see the same request to stop.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from core.errors import AtelierError, Busy, Cancelled, InvalidInput
from core.events import Progress
from core.jobs.attempts import begin_again_here
from core.jobs.events import EventWriter
from core.jobs.folder import JobFolder
from core.jobs.records import Record, State
from core.jobs.work import JobHandle, StopToken, Work, carry
from core.redaction import Redactor, names_a_secret

EXIT_CODES = {State.SUCCEEDED: 0, State.CANCELLED: 0, State.FAILED: 1, State.INTERRUPTED: 3}
"""exit.json says more. To end when asked is no mistake: launchers print a traceback for whatever is not 0."""
REFUSED = 2
"""The exit code when nothing was done: no job there, or somebody else is at it."""
SHORTEST_VARIABLE = 8
"""A shorter value under a telling name is a switch ("true"), and no secret."""


class ChildStopToken(StopToken):
    """A StopToken that a signal turns, too; what ends the work then is not a wish of the job's owner."""

    interrupted = "error.job_told_to_end"
    signalled = False

    def note_signal(self, *_: object) -> None:
        """Handle SIGTERM or SIGINT; takes no lock, since it may interrupt whoever holds one."""
        self.signalled = True

    def _file_asks(self) -> bool:
        asked = super()._file_asks()
        if self.signalled and not asked:
            self.closing = not self._stop_file.exists()
            self.cancel()
            return True
        return asked


class SilentHandle(JobHandle):
    """What a process beside the first one holds of the job: it stops like the others, and writes to the log only."""

    def report(self, progress: Progress) -> None:
        """Keep it: the first process tells."""
        self.last_progress = progress

    def emit(self, name: str, payload: Any) -> None:
        """Keep still: the first process tells."""

    def _open_events(self, path: Path) -> EventWriter | None:  # noqa: ARG002 the file belongs to the first process
        return None


class RedactedStream:
    """A text stream that lets whole lines through, without secrets in them."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._redactor = redactor
        self._begun = ""

    def write(self, text: str) -> int:
        """Write the lines that are complete by now; a progress bar's end with a carriage return."""
        whole = self._begun + text
        end = max(whole.rfind("\n"), whole.rfind("\r")) + 1
        self._begun = whole[end:]
        if end:
            self._stream.write(self._redactor.text(whole[:end]))
            self._stream.flush()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what is written; the beginning of a line stays until its end is there: a secret may be cut in two."""
        self._stream.flush()

    def finish(self) -> None:
        """Write the line that never ended."""
        self._stream.write(self._redactor.text(self._begun))
        self._begun = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def rank_here() -> int:
    """Return which of the processes that work together this one is; 0 is the first, and a single one."""
    return int(os.environ.get("RANK", "0"))


def carry_here(folder: Path | str, work: Work) -> int:
    """Do `work` as the job in `folder`, in this process, and return the exit code; exit.json says how it ended.

    SIGTERM and SIGINT stop it. Nothing that it prints or logs through Python holds a secret of its environment. A job
    that ended before goes on in a new attempt, unless it has succeeded.
    """
    job = JobFolder(Path(folder).resolve())
    try:
        record = _record(job)
        redactor = child_redactor(record, os.environ)
        with _redacted_words(redactor):
            return _carry(job, redactor, work) if rank_here() == 0 else _accompany(job, redactor, work)
    except AtelierError as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201 to whoever started this
        return REFUSED


def child_redactor(record: Record, environment: Mapping[str, str]) -> Redactor:
    """Return a redactor that knows every variable under a telling name, whoever has set it."""
    telling = {
        name: held
        for name, held in environment.items()
        if len(held) >= SHORTEST_VARIABLE and names_a_secret(name, held)
    }
    return Redactor.of({"settings": dict(record.settings), "environment": telling}, environment)


def _record(job: JobFolder) -> Record:
    try:
        return job.record()
    except (OSError, ValueError) as error:
        raise InvalidInput("error.job_folder", folder=str(job.path)) from error


def _carry(job: JobFolder, redactor: Redactor, work: Work) -> int:
    with claimed(job.path):
        begin_again_here(job)
        token = ChildStopToken(job.stop_file)
        with _signals(token):
            ending, _ = carry(job, token, redactor, work)
    return EXIT_CODES[ending.outcome]


def _accompany(job: JobFolder, redactor: Redactor, work: Work) -> int:
    token = ChildStopToken(job.stop_file)
    with _signals(token):
        handle = SilentHandle(job, token, redactor)
        try:
            work(handle)
        except Cancelled:
            return EXIT_CODES[State.INTERRUPTED if token.closing else State.CANCELLED]
        except Exception:  # noqa: BLE001 its words go to the log; the first process writes down the end
            handle.log(f"process {rank_here()}:\n{traceback.format_exc()}")
            return EXIT_CODES[State.FAILED]
    return EXIT_CODES[State.SUCCEEDED]


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Be the only process that works in `folder`; raises Busy. The claim ends with the process, however that ends."""
    import fcntl

    with (folder / "lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process alone: what it forks inherits nothing
        except OSError as error:
            raise Busy("error.job_carried") from error
        yield


@contextmanager
def _signals(token: ChildStopToken) -> Iterator[None]:
    before = {one: signal.signal(one, token.note_signal) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _redacted_words(redactor: Redactor) -> Iterator[None]:
    """Take secrets out of what this process prints and logs."""
    with ExitStack() as undo:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            safe = RedactedStream(stream, redactor)
            setattr(sys, name, safe)
            undo.callback(setattr, sys, name, stream)
            undo.callback(safe.finish)
            _swap_logging(stream, safe)
            undo.callback(_swap_logging, safe, stream)
        yield


def _swap_logging(old: Any, new: Any) -> None:
    """Let handlers that were made before write where the others do."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is old:
            handler.setStream(new)
