"""What other floors hold of a job: its view, its news, and who may see it."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any, Final

from core.errors import AtelierError
from core.events import Progress
from core.jobs.attempts import can_resume
from core.jobs.events import Event
from core.jobs.folder import JobFolder, Snapshot
from core.jobs.records import Carrier, Ending, ProcessMark, Record, State, interrupted_ending
from core.jobs.work import to_json
from core.words import Sentence

LIBRARIES = ("torch", "transformers", "diffusers", "peft", "datasets", "accelerate", "huggingface_hub")


class _Anybody(Enum):
    ANYBODY = "anybody"


ANYBODY: Final = _Anybody.ANYBODY
"""Pass as `owner` to see every job: for the server itself, never for a visitor's request."""
Owner = str | None | _Anybody


@dataclass(frozen=True)
class JobView:
    """A job as a page shows it; times in seconds since 1970."""

    id: str
    kind: str
    state: State
    progress: Progress | None
    position: int | None
    """1 = next in line; None when it does not wait here."""
    waiting: Sentence | None
    created: float
    seconds: float
    """Seconds of work so far, or altogether."""
    error: Sentence | None
    settings: dict[str, Any]
    resumable: bool = False
    """`Jobs.resume` would go on with it."""
    attempt: int = 1

    def raise_failure(self) -> None:
        """Raise what the job has failed with, as AtelierError: who started it is told as of any refusal."""
        if self.state is State.FAILED and self.error:
            raise AtelierError(self.error.key, **self.error.values)


@dataclass(frozen=True)
class Following:
    """What happened after the number asked for; ask again with `last`."""

    events: list[Event]
    last: int
    state: State
    more: bool
    """There may be further events on disk right now."""

    @property
    def over(self) -> bool:
        """True when nothing will follow."""
        return not self.state.alive and not self.more


@dataclass(frozen=True)
class Adopted:
    """What a start-up found: ids of jobs that died without a word, and of jobs that live on."""

    interrupted: tuple[str, ...]
    alive: tuple[str, ...]


def new_record(kind: str, settings: Any, process: ProcessMark, owner: str | None, once_key: str | None) -> Record:
    """Return the record of a job that is asked for now; it is a thread's until it is made a process's."""
    return Record(
        id=uuid.uuid4().hex,
        kind=kind,
        settings=to_json(settings),
        versions=installed_versions(),
        carrier=Carrier.THREAD,
        process=process,
        created=time.time(),
        owner=None if owner is None else digest(owner),
        once=digest(f"{owner}\n{once_key}") if once_key is not None else None,
    )


def view_of(folder: JobFolder, look: Snapshot, place: tuple[int | None, Sentence | None]) -> JobView:
    """Return what a page shows of a job that stands at `place`."""
    record, ending = look.record, look.ending
    if ending is None:
        tail = folder.tail()
        dead = look.state is State.INTERRUPTED
        seconds = max(time.time() - record.started, 0.0) if record.started else 0.0
        ending = interrupted_ending(record, tail) if dead else Ending(look.state, seconds, 0.0, None, tail.progress)
    position, waiting = place
    return JobView(
        record.id,
        record.kind,
        look.state,
        ending.progress,
        position,
        waiting,
        record.created,
        record.earlier_seconds + ending.seconds,
        ending.error,
        dict(record.settings),
        resumable=can_resume(look),
        attempt=record.attempt,
    )


def belongs(record: Record, owner: Owner) -> bool:
    """Tell whether `owner` may see this job: exactly their own, or any for ANYBODY."""
    if isinstance(owner, _Anybody):
        return True
    return record.owner == (None if owner is None else digest(owner))


def end_of(file: Path, last_bytes: int) -> str:
    """Return the last bytes of a text file; nothing when there is none yet."""
    try:
        with file.open("rb") as log:
            log.seek(max(file.stat().st_size - last_bytes, 0))
            return log.read(last_bytes).decode(errors="replace")
    except FileNotFoundError:
        return ""


def digest(text: str) -> str:
    """Return what is written down instead of a visitor's name or key: it can be compared, and not turned back."""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed, without importing them."""
    installed = {"python": python_version()}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
