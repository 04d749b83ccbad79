"""Long work on disk: start it, follow it from any browser, stop it, and find it again after a restart.

A job is a folder (core/jobs/folder.py); this floor keeps the line in front of the one job that computes, and says who
may see what. Everything a page needs to hold is the job's id.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import Busy, DiskFull, UnknownName
from core.jobs.folder import Carrier, Ending, JobFolder, ProcessMark, Record, Snapshot, State, interrupted_ending
from core.jobs.shelf import JobShelf, Swept, is_job_id
from core.jobs.views import ANYBODY, Adopted, Following, JobView, Owner, belongs, digest, end_of, installed_versions
from core.jobs.work import JobHandle, StopToken, Work, carry, disk_is_full, end_untouched, to_json, write_ending
from core.redaction import Redactor
from core.words import Sentence, say

__all__ = ["ANYBODY", "Adopted", "Following", "JobHandle", "JobView", "Jobs", "State", "Swept", "Work"]

MOST_WAITING_EACH = 3
"""How many jobs of one visitor may wait, so that nobody fills the line that all share."""


@dataclass(frozen=True)
class _Task:
    folder: JobFolder
    kind: str
    token: StopToken
    redactor: Redactor
    work: Work
    owner: str | None = None
    """Digest of the visitor; None on an instance of one's own."""

    @property
    def id(self) -> str:
        return self.folder.path.name


class Jobs:
    """All jobs below one folder; one of them computes at a time, the others wait in line.

    `owner` is a visitor's name or session; None are the jobs that belong to nobody (an instance of one's own).
    Another visitor's job, a job that never was and a malformed id are the same UnknownName.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quota_bytes: int = 5_000_000_000,
        quota_bytes_each: int | None = None,
        keep_days: float = 30,
        most_waiting: int = 20,
    ) -> None:
        """Use `folder`, created with the first job; `sweep` keeps finished jobs within all three limits.

        `quota_bytes_each` is for the jobs of one owner, so that nobody's work pushes out everybody else's.
        """
        self._here = ProcessMark.here()
        self._shelf = JobShelf(folder, self._here, quota_bytes, keep_days, quota_bytes_each)
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._line: deque[_Task] = deque()
        self._running: _Task | None = None
        self._thread: threading.Thread | None = None
        self._once: dict[str, str] = {}
        self._unwritten: dict[str, Ending] = {}
        self._closing = False

    def start(self, kind: str, settings: Any, work: Work, owner: str | None = None, once_key: str | None = None) -> str:
        """Put `work` in line and return its id; while a job with the same owner and `once_key` waits or runs, its id.

        Raises Busy when the line is full or the server is closing, DiskFull when the job cannot be written.
        """
        once = digest(f"{owner}\n{once_key}") if once_key is not None else None
        with self._lock:
            twin = self._twin(once)
            if twin:
                return twin
            self._admit(None if owner is None else digest(owner))
            task = self._create(
                Record(
                    id=uuid.uuid4().hex,
                    kind=kind,
                    settings=to_json(settings),
                    versions=installed_versions(),
                    carrier=Carrier.THREAD,
                    process=self._here,
                    created=time.time(),
                    owner=None if owner is None else digest(owner),
                    once=once,
                ),
                work,
            )
            self._line.append(task)
            self._keep_working()
        return task.id

    def follow(self, id: str, after: int = 0, owner: Owner = None, limit: int = 1000) -> Following:  # noqa: A002
        """Return what happened after event number `after`, at most `limit` events, reading only that."""
        folder, look = self._find(id, owner)  # the state first: events of a finished job are then complete
        events = folder.events_after(after, limit)
        return Following(events, events[-1].seq if events else after, look.state, len(events) == limit)

    def state(self, id: str, owner: Owner = None) -> State:  # noqa: A002
        """Return where a job is."""
        return self._find(id, owner)[1].state

    def view(self, id: str, owner: Owner = None) -> JobView:  # noqa: A002
        """Return what a page shows of a job."""
        return self._view(*self._find(id, owner))

    def list(self, owner: Owner = None) -> list[JobView]:
        """Return this owner's jobs, newest first; of finished ones only two small files are read."""
        found = [self._overlay(look) for look in self._shelf.looks()]
        mine = [look for look in found if belongs(look.record, owner)]
        mine.sort(key=lambda look: look.record.created, reverse=True)
        return list(self._views(mine))

    def result_folder(self, id: str, owner: Owner = None) -> Path:  # noqa: A002
        """Return the folder with what a job made so far."""
        return self._find(id, owner)[0].result_folder

    def log(self, id: str, owner: Owner = None, last_bytes: int = 20_000) -> str:  # noqa: A002
        """Return the end of a job's log."""
        return end_of(self._find(id, owner)[0].log_file, last_bytes)

    def stop(self, id: str, owner: Owner = None) -> State:  # noqa: A002
        """Ask a job to stop and return its state; a waiting one is cancelled at once, a finished one stays as it is."""
        folder, look = self._find(id, owner)
        if look.state.alive and not self._cancel_waiting(id):
            self._ask(folder)
        return self._find(id, owner)[1].state

    def delete(self, id: str, owner: Owner = None) -> None:  # noqa: A002
        """Remove a finished job with all its files; raises Busy while it is alive."""
        folder, look = self._find(id, owner)
        if look.state.alive:
            raise Busy("error.job_alive", state=look.state.value)
        self._shelf.remove(folder)
        self._unwritten.pop(id, None)

    def adopt(self) -> Adopted:
        """Call at start-up: write down which jobs died without a word, and go on knowing those that live."""
        dead, alive = [], []
        for look in self._shelf.looks():
            if look.state is State.INTERRUPTED and look.ending is None:
                dead.append(look.record.id)
                with self._shelf.skipping(look.record.id):
                    self._write_down_death(look.record)
            elif look.state.alive:
                alive.append(look.record.id)
                self._remember(look.record)
        return Adopted(tuple(dead), tuple(alive))

    def sweep(self) -> Swept:
        """Remove finished jobs that are too old, then the oldest until they fit the quotas; never a live one."""
        return self._shelf.sweep(self._overlay)

    def shutdown(self, wait_seconds: float = 10) -> bool:
        """Start nothing new, end waiting jobs, ask the running one to stop; True if it did within `wait_seconds`.

        Nobody asked these jobs to stop, so they end as interrupted.
        """
        with self._lock:
            self._closing = True
            waiting, thread, running = tuple(self._line), self._thread, self._running
            self._line.clear()
            for task in waiting:
                self._note(task.id, *end_untouched(task.folder, State.INTERRUPTED))
        if running:
            running.token.close()
        if thread:
            thread.join(wait_seconds)
        return not (thread and thread.is_alive())

    def _write_down_death(self, record: Record) -> None:
        folder = self._shelf.job(record.id)
        if not write_ending(folder, interrupted_ending(record, folder.tail())):
            # Nothing is lost: the state stays computed from the dead process.
            logging.getLogger(__name__).warning("job %s: its end could not be written", record.id)

    def _views(self, looks: Sequence[Snapshot]) -> Iterator[JobView]:
        for look in looks:
            view = None
            with self._shelf.skipping(look.record.id):
                view = self._view(self._shelf.job(look.record.id), look)
            if view:
                yield view

    def _twin(self, once: str | None) -> str | None:
        """Return the job that waits or runs under the same key; one that is stopping does not count."""
        twin = self._once.get(once or "")
        if twin is None:
            return None
        try:
            state = self._overlay(self._shelf.job(twin).look()).state
        except (OSError, ValueError):  # deleted meanwhile, or not to be read any more
            return None
        return twin if state in (State.QUEUED, State.RUNNING) else None

    def _admit(self, owner: str | None) -> None:
        if self._closing:
            raise Busy("error.jobs_closing")
        mine = sum(task.owner == owner for task in self._line)
        if owner is not None and mine >= MOST_WAITING_EACH:
            raise Busy("error.jobs_full_each", limit=MOST_WAITING_EACH)
        if len(self._line) >= self._most_waiting:
            running = self._running.kind if self._running else self._line[0].kind
            raise Busy("error.jobs_full", limit=self._most_waiting, running=running)

    def _create(self, record: Record, work: Work) -> _Task:
        redactor = Redactor.of(record.settings, os.environ)
        safe = replace(record, settings=redactor.value(record.settings))
        try:
            folder = self._shelf.add(safe)
        except OSError as error:
            if disk_is_full(error):
                raise DiskFull("error.job_disk_full") from error
            raise
        self._remember(safe)
        return _Task(folder, record.kind, StopToken(folder.stop_file), redactor, work, record.owner)

    def _remember(self, record: Record) -> None:
        if record.once:
            self._once[record.once] = record.id

    def _keep_working(self) -> None:
        """Have one thread that empties the line; it ends with the line, so an idle server holds none."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work_off, name="atelier-jobs", daemon=True)
            self._thread.start()

    def _work_off(self) -> None:
        try:
            while task := self._next():
                self._sweep_before(task)
                self._note(task.id, *carry(task.folder, task.token, task.redactor, task.work))
        finally:
            self._make_way()

    def _make_way(self) -> None:
        """Let the next thread begin, whatever ended this one; the job that it left undone has failed."""
        with self._lock:
            if self._thread is not threading.current_thread():  # the line was empty, and another may have begun
                return
            undone, self._running, self._thread = self._running, None, None
            if undone and undone.folder.ending() is None:
                self._note(undone.id, *end_untouched(undone.folder, State.FAILED))
            if self._line:
                self._keep_working()

    def _next(self) -> _Task | None:
        with self._lock:
            self._running = self._line.popleft() if self._line else None
            if self._running is None:
                self._thread = None
            return self._running

    def _sweep_before(self, task: _Task) -> None:
        try:
            self.sweep()
        except Exception:  # whatever an old job's files provoke is no fault of this job
            logging.getLogger(__name__).exception("sweeping old jobs failed before job %s", task.id)

    def _note(self, id: str, ending: Ending, written: bool) -> None:  # noqa: A002, FBT001
        if not written:
            self._unwritten[id] = ending
            logging.getLogger(__name__).error("job %s: its end (%s) could not be written", id, ending.outcome)

    def _cancel_waiting(self, id: str) -> bool:  # noqa: A002
        with self._lock:
            task = next((task for task in self._line if task.id == id), None)
            if task is None:
                return False
            self._line.remove(task)
            self._note(id, *end_untouched(task.folder, State.CANCELLED))
            return True

    def _ask(self, folder: JobFolder) -> None:
        running = self._running
        ours = running is not None and running.id == folder.path.name
        if running and ours:
            running.token.cancel()  # first: a full disk must not keep anybody from stopping our own job
        try:
            folder.ask_stop()
        except OSError as error:
            if not disk_is_full(error):
                raise
            if not ours:
                raise DiskFull("error.job_disk_full") from error

    def _find(self, id: str, owner: Owner) -> tuple[JobFolder, Snapshot]:  # noqa: A002
        """Return a job and one look at it; raises UnknownName, alike for what is not there and what is not yours."""
        if not is_job_id(id):
            raise UnknownName("error.job_unknown")
        folder = self._shelf.job(id)
        try:
            look = folder.look()
        except (OSError, ValueError) as error:
            raise UnknownName("error.job_unknown") from error
        if not belongs(look.record, owner):
            raise UnknownName("error.job_unknown")
        return folder, self._overlay(look)

    def _overlay(self, look: Snapshot) -> Snapshot:
        """Add what only this process knows: an end that the disk refused, a request that has no file."""
        if not look.state.alive:
            return look
        ending = self._unwritten.get(look.record.id)
        if ending:
            return Snapshot(look.record, ending, ending.outcome)
        running = self._running
        asked = running is not None and running.id == look.record.id and running.token.asked
        return replace(look, state=State.STOPPING) if asked else look

    def _view(self, folder: JobFolder, look: Snapshot) -> JobView:
        record = look.record
        ending = look.ending
        if ending is None:
            tail = folder.tail()
            dead = look.state is State.INTERRUPTED
            seconds = max(time.time() - record.started, 0.0) if record.started else 0.0
            ending = interrupted_ending(record, tail) if dead else Ending(look.state, seconds, 0.0, None, tail.progress)
        position, waiting = self._place(record.id)
        return JobView(
            record.id,
            record.kind,
            look.state,
            ending.progress,
            position,
            waiting,
            record.created,
            ending.seconds,
            ending.error,
            dict(record.settings),
        )

    def _place(self, id: str) -> tuple[int | None, Sentence | None]:  # noqa: A002
        with self._lock:
            position = next((place for place, task in enumerate(self._line, 1) if task.id == id), None)
            running = self._running
        if position is None:
            return None, None
        if running is None:
            return position, say("say.job_next", position=position)
        return position, say("say.job_queued", position=position, running=running.kind)
