"""All job folders below one folder: add, look at, remove, and sweep away the oldest when they take too much room."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.job_folder import JobFolder, ProcessMark, Record, Snapshot

_ID = re.compile(r"[0-9a-f]{32}")
DAY_SECONDS = 86_400.0
LEFTOVER_SECONDS = 3_600.0
"""A folder that is half added or half removed for longer than this was left by a sudden death."""


def is_job_id(name: object) -> bool:
    """Tell whether `name` has the form of a job's id; nothing else ever becomes part of a path."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None


@dataclass(frozen=True)
class Swept:
    """Ids of the jobs that were removed, and how many bytes that gave back."""

    ids: tuple[str, ...]
    freed_bytes: int


@dataclass(frozen=True)
class _Finished:
    folder: JobFolder
    ended: float
    size: int


@dataclass(frozen=True)
class JobShelf:
    """The folder that holds one folder per job, named by its id; names with a dot are half added or half removed."""

    folder: Path
    here: ProcessMark
    quota_bytes: int
    keep_days: float
    _told: set[str] = field(default_factory=set, compare=False, repr=False)
    """Jobs of which the log has said that they cannot be read: the page asks every few seconds."""

    def job(self, id: str) -> JobFolder:  # noqa: A002
        """Return the folder of `id`, whether it exists or not; the caller has checked that `id` is one."""
        return JobFolder(self.folder / id, self.here)

    def add(self, record: Record) -> JobFolder:
        """Make a job's folder in one step: it is there whole or not at all; raises OSError."""
        draft = self.folder / f".new-{record.id}"
        try:
            (draft / "result").mkdir(parents=True)
            draft.chmod(0o700)
            JobFolder(draft, self.here).write_record(record)
            draft.replace(self.folder / record.id)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return self.job(record.id)

    def looks(self) -> Iterator[Snapshot]:
        """Look at every job; what vanishes meanwhile or cannot be read is left out."""
        for path in self._folders():
            look = None
            with self.skipping(path.name):
                look = JobFolder(path, self.here).look()
            if look:
                yield look

    @contextmanager
    def skipping(self, id: str) -> Iterator[None]:  # noqa: A002
        """Go on without a job whose files cannot be read, and log that once; one that vanished is no news."""
        try:
            yield
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            if id not in self._told:
                self._told.add(id)
                logging.getLogger(__name__).warning("job %s is left out: %s: %s", id, type(error).__name__, error)

    def remove(self, job: JobFolder) -> None:
        """Delete a job with all its files, if it is still there; half-deleted it is no longer a job; raises OSError."""
        doomed = job.path.with_name(f".old-{job.path.name}")
        try:
            job.path.replace(doomed)
        except FileNotFoundError:  # somebody else was faster
            return
        shutil.rmtree(doomed)

    def sweep(self, overlay: Callable[[Snapshot], Snapshot]) -> Swept:
        """Remove leftovers, finished jobs beyond `keep_days`, then the oldest finished ones beyond `quota_bytes`."""
        self._clear_leftovers()
        finished, used = self._finished(overlay)
        oldest_kept = time.time() - self.keep_days * DAY_SECONDS
        removed: list[_Finished] = []
        for job in sorted(finished, key=lambda job: job.ended):
            if job.ended < oldest_kept or used > self.quota_bytes:
                with self.skipping(job.folder.path.name):
                    self.remove(job.folder)
                    used -= job.size
                    removed.append(job)
        return Swept(tuple(job.folder.path.name for job in removed), sum(job.size for job in removed))

    def _finished(self, overlay: Callable[[Snapshot], Snapshot]) -> tuple[list[_Finished], int]:
        """Return every finished job, and the bytes that all jobs take together."""
        finished, used = [], 0
        for path in self._folders():
            job = JobFolder(path, self.here)
            with self.skipping(path.name):
                size = job.bytes_used()
                used += size
                ended = _ended(job, overlay)
                if ended is not None:
                    finished.append(_Finished(job, ended, size))
        return finished, used

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if is_job_id(path.name) and path.is_dir()]

    def _clear_leftovers(self) -> None:
        for path in (*self.folder.glob(".new-*"), *self.folder.glob(".old-*")):
            if time.time() - _changed(path) > LEFTOVER_SECONDS:
                logging.getLogger(__name__).info("removing the leftover %s", path.name)
                shutil.rmtree(path, ignore_errors=True)  # the next sweep tries again


def _ended(job: JobFolder, overlay: Callable[[Snapshot], Snapshot]) -> float | None:
    """Return when a job ended, None if it lives; one whose record is gone or damaged ended when last changed.

    Raises OSError where the record is there and the system does not let us read it: nobody knows what would be removed.
    """
    try:
        look = overlay(job.look())
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return _changed(job.path)
    if look.state.alive:
        return None
    return look.ending.ended if look.ending else job.tail().time or look.record.created


def _changed(path: Path) -> float:
    """Return when a folder was last changed; one that has just vanished, now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
