"""All job folders below one folder: add, look at, remove, and sweep away the oldest when they take too much room."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path

from core.errors import DiskFull
from core.jobs.folder import JobFolder, Snapshot
from core.jobs.records import Carrier, ProcessMark, Record
from core.words import in_bytes

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
class _Kept:
    folder: JobFolder
    size: int
    owner: str | None
    ended: float | None
    """None while it lives, and for what stays until somebody deletes it."""


@dataclass(frozen=True)
class JobShelf:
    """The folder that holds one folder per job, named by its id; names with a dot are half added or half removed."""

    folder: Path
    here: ProcessMark
    quota_bytes: int
    keep_days: float
    quota_bytes_each: int | None = None
    """For the jobs of one owner."""
    _told: set[str] = field(default_factory=set, compare=False, repr=False)
    """Jobs of which the log has said that they cannot be read: the page asks every few seconds."""

    def job(self, id: str) -> JobFolder:  # noqa: A002
        """Return the folder of `id`, whether it exists or not; the caller has checked that `id` is one."""
        return JobFolder(self.folder / id, self.here)

    def add(self, record: Record, fill: Callable[[Path], None] | None = None) -> JobFolder:
        """Make a job's folder in one step, with what `fill` puts into it: it is there whole or not at all.

        Raises OSError, and what `fill` raises.
        """
        draft = self.folder / f".new-{record.id}"
        try:
            (draft / "result").mkdir(parents=True)
            draft.chmod(0o700)
            if fill:
                fill(draft)
            JobFolder(draft, self.here).write_record(record)
            draft.replace(self.folder / record.id)
        except BaseException:  # whatever kept it from being whole
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

    def recent(self, known: Collection[str], mine: Callable[[Record], bool], limit: int) -> Iterator[Snapshot]:
        """Look at the jobs in `known`, and at `limit` others that changed last, as far as they are `mine`.

        Of what changed before that, nothing is read: a page asks every few seconds, and there may be thousands.
        """
        newest = sorted(self._folders(), key=_changed, reverse=True)
        for path in sorted(newest, key=lambda path: path.name not in known):
            look = None
            if limit <= 0 and path.name not in known:
                return
            with self.skipping(path.name):
                look = JobFolder(path, self.here).look()
            if look and mine(look.record):
                limit -= path.name not in known
                yield look

    def require_quota(self, owner: str | None) -> None:
        """Raise DiskFull when all jobs here, or this owner's, take more than they may."""
        used = _Used(list(self._kept(lambda look: look)))
        each = self.quota_bytes_each
        if used.total > self.quota_bytes:
            raise DiskFull("error.job_quota", used=in_bytes(used.total), limit=in_bytes(self.quota_bytes))
        if each is not None and used.of_owner[owner] > each:
            raise DiskFull("error.job_quota", used=in_bytes(used.of_owner[owner]), limit=in_bytes(each))

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
        """Remove leftovers, finished jobs beyond `keep_days`, then the oldest finished ones beyond the quotas."""
        self._clear_leftovers()
        kept = list(self._kept(overlay))
        used = _Used(kept)
        oldest_kept = time.time() - self.keep_days * DAY_SECONDS
        removed: list[_Kept] = []
        for ended, job in sorted(((job.ended, job) for job in kept if job.ended is not None), key=itemgetter(0)):
            if ended < oldest_kept or self._too_much(used, job.owner):
                with self.skipping(job.folder.path.name):
                    self.remove(job.folder)
                    used.less(job)
                    removed.append(job)
        return Swept(tuple(job.folder.path.name for job in removed), sum(job.size for job in removed))

    def _too_much(self, used: _Used, owner: str | None) -> bool:
        each = self.quota_bytes_each
        return used.total > self.quota_bytes or (each is not None and used.of_owner[owner] > each)

    def _kept(self, overlay: Callable[[Snapshot], Snapshot]) -> Iterator[_Kept]:
        """Yield every job with its size; one that the system does not let us read counts, and stays."""
        for path in self._folders():
            kept = None
            with self.skipping(path.name):
                job = JobFolder(path, self.here)
                kept = _Kept(job, job.bytes_used(), None, None)
                kept = _dated(kept, overlay)
            if kept:
                yield kept

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if is_job_id(path.name) and path.is_dir()]

    def _clear_leftovers(self) -> None:
        for path in (*self.folder.glob(".new-*"), *self.folder.glob(".old-*")):
            if time.time() - _changed(path) > LEFTOVER_SECONDS:
                logging.getLogger(__name__).info("removing the leftover %s", path.name)
                shutil.rmtree(path, ignore_errors=True)  # the next sweep tries again


class _Used:
    """Bytes that jobs take, all together and of each owner."""

    def __init__(self, kept: Sequence[_Kept]) -> None:
        self.total = sum(job.size for job in kept)
        self.of_owner: Counter[str | None] = Counter()
        for job in kept:
            self.of_owner[job.owner] += job.size

    def less(self, job: _Kept) -> None:
        """Take off what a removed job gave back."""
        self.total -= job.size
        self.of_owner[job.owner] -= job.size


def _dated(kept: _Kept, overlay: Callable[[Snapshot], Snapshot]) -> _Kept:
    """Tell whose job it is and when it ended; one whose record is gone or damaged ended when last changed.

    Raises OSError where the record is there and the system does not let us read it: nobody knows what would be removed.
    """
    try:
        look = overlay(kept.folder.look())
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return replace(kept, ended=_changed(kept.folder.path))
    stays = look.state.alive or look.record.carrier is Carrier.PROCESS  # hours of work: gone when somebody says so
    return replace(kept, owner=look.record.owner, ended=None if stays else _ended(kept.folder, look))


def _ended(job: JobFolder, look: Snapshot) -> float:
    return look.ending.ended if look.ending else job.tail().time or look.record.created


def _changed(path: Path) -> float:
    """Return when a folder was last changed; one that has just vanished, now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
