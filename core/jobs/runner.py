"""Long work on disk: start it, follow it from any browser, stop it, and find it again after a restart.

A job is a folder (core/jobs/folder.py). What a thread of this server carries waits in one line (core/jobs/threads.py),
what a process of its own carries in a line for each device (core/jobs/lines.py); this floor says who may see what, and
who gets in. Everything a page needs to hold is the job's id.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import Busy, DiskFull, UnknownName
from core.jobs.admission import MOST_WAITING_EACH, Admission
from core.jobs.adoption import adopt_all
from core.jobs.attempts import next_attempt, require_resumable
from core.jobs.ends import UnwrittenEnds
from core.jobs.folder import JobFolder, Snapshot
from core.jobs.lines import FIRST_DEVICE, ProcessLines, waits_in_line
from core.jobs.process import ProcessWork, with_process
from core.jobs.records import Carrier, ProcessMark, Record, State, interrupted_ending
from core.jobs.room import LEAST_FREE_BYTES, Room
from core.jobs.shelf import JobShelf, Swept, is_job_id
from core.jobs.threads import Task, ThreadLine
from core.jobs.twins import Twins
from core.jobs.views import ANYBODY, Adopted, Following, JobView, Owner, belongs, end_of, new_record, view_of
from core.jobs.watch import Patience, cancel_untouched
from core.jobs.work import JobHandle, StopToken, Work, disk_is_full
from core.redaction import Redactor
from core.words import Sentence, say

__all__ = [
    "ANYBODY",
    "MOST_WAITING_EACH",
    "Adopted",
    "Following",
    "JobHandle",
    "JobView",
    "Jobs",
    "Patience",
    "ProcessRules",
    "ProcessWork",
    "State",
    "Swept",
    "Work",
]


@dataclass(frozen=True)
class ProcessRules:
    """What holds for jobs with a process of their own."""

    patience: Patience = field(default_factory=Patience)
    least_free_bytes: int = LEAST_FREE_BYTES
    """What must be left on the disk beside the job's own needs."""


class Jobs:
    """All jobs below one folder; one of them computes at a time (on each device), the others wait in line.

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
        processes: ProcessRules | None = None,
    ) -> None:
        """Use `folder`, created with the first job; `sweep` keeps finished jobs within all three limits.

        `quota_bytes_each` is for the jobs of one owner, so that nobody's work pushes out everybody else's. A job with a
        process of its own is never swept, since it took hours: `launch` is refused beyond the quotas.
        """
        rules = processes or ProcessRules()
        self._here = ProcessMark.here()
        self._shelf = JobShelf(folder, self._here, quota_bytes, keep_days, quota_bytes_each)
        self._room = Room(folder, rules.least_free_bytes)
        self._admission = Admission(most_waiting)
        self._lock = threading.Lock()
        self._twins = Twins(lambda id_: self._overlay(self._shelf.job(id_).look()).state)
        self._ends = UnwrittenEnds()
        self._threads = ThreadLine(self.sweep, self._ends)
        self._processes = ProcessLines(self._shelf, self._room, rules.patience, self._ends)

    def start(self, kind: str, settings: Any, work: Work, owner: str | None = None, once_key: str | None = None) -> str:
        """Put `work` in line and return its id; while a job with the same owner and `once_key` waits or runs, its id.

        Raises Busy when the line is full or the server is closing, DiskFull when the job cannot be written.
        """
        record = new_record(kind, settings, self._here, owner, once_key)
        redactor = Redactor.of(record.settings, os.environ)
        with self._lock:
            twin = self._twins.alive(record.once)
            if twin:
                return twin
            running = self._threads.running()
            self._admission.require(record.owner, self._threads.waiting(), running.kind if running else None)
            folder = self._create(replace(record, settings=redactor.value(record.settings)))
            self._threads.add(Task(folder, kind, StopToken(folder.stop_file), redactor, work, record.owner))
        return record.id

    def launch(
        self,
        kind: str,
        settings: Any,
        command: ProcessWork,
        owner: str | None = None,
        once_key: str | None = None,
        device: str = FIRST_DEVICE,
    ) -> str:
        """Put a job with a process of its own in `device`'s line and return its id; a twin is what it is for `start`.

        The process outlives this server, and so does the job's place in line. Raises Busy when the line is full or the
        server is closing, DiskFull when the disk or the quota has no room for it, and what `command.fill` raises.
        """
        record = with_process(new_record(kind, settings, self._here, owner, once_key), command, device)
        with self._lock:
            twin = self._twins.alive(record.once)
            if twin:
                return twin
            self._admit_process(record)
            folder = self._create(record, command.fill)
            self._processes.add(folder, record, command.secrets)
        return record.id

    def resume(self, id: str, owner: Owner = None, secrets: Mapping[str, str] | None = None) -> str:  # noqa: A002
        """Put a job that ended without success back in line, in the same folder, and return its id.

        `secrets` are needed again only after a restart of the server. Raises Busy while the job is alive, InvalidInput
        when it has succeeded, NotAllowed when it had no process of its own, and what `launch` raises.
        """
        with self._lock:
            folder, look = self._find(id, owner)
            require_resumable(look)
            self._admit_process(look.record)
            ending = look.ending or interrupted_ending(look.record, folder.tail())
            self._processes.clear(id, lambda: next_attempt(folder, ending, self._here))
            self._ends.forget(id)
            self._processes.add(folder, folder.record(), secrets or {})
        return id

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

    def recent(self, owner: Owner = None, limit: int = 20) -> list[JobView]:
        """Return this owner's jobs that wait or run here, and those that changed last, newest first."""
        known = {*self._processes.known(), *self._threads.known()}
        found = [self._overlay(look) for look in self._shelf.recent(known, lambda one: belongs(one, owner), limit)]
        found.sort(key=lambda look: (look.state.alive, look.record.created), reverse=True)
        return list(self._views(found))

    def list(self, owner: Owner = None) -> list[JobView]:
        """Return this owner's jobs, newest first; of finished ones only two small files are read."""
        found = [self._overlay(look) for look in self._shelf.looks()]
        mine = [look for look in found if belongs(look.record, owner)]
        mine.sort(key=lambda look: look.record.created, reverse=True)
        return list(self._views(mine))

    def result_folder(self, id: str, owner: Owner = None) -> Path:  # noqa: A002
        """Return the folder with what a job made so far."""
        return self._find(id, owner)[0].result_folder

    def folder(self, id: str, owner: Owner = None) -> Path:  # noqa: A002
        """Return a job's own folder: with its settings, its data and its checkpoints."""
        return self._find(id, owner)[0].path

    def log(self, id: str, owner: Owner = None, last_bytes: int = 20_000) -> str:  # noqa: A002
        """Return the end of a job's log."""
        return end_of(self._find(id, owner)[0].log_file, last_bytes)

    def stop(self, id: str, owner: Owner = None) -> State:  # noqa: A002
        """Ask a job to stop and return its state; a waiting one is cancelled at once, a finished one stays as it is.

        A process that does not listen is told by SIGTERM in a while, then ended by force with all it has started.
        """
        folder, look = self._find(id, owner)
        if look.state.alive and not (self._threads.cancel_waiting(id) or self._processes.cancel_waiting(id)):
            self._ask(folder, look)
        return self._find(id, owner)[1].state

    def delete(self, id: str, owner: Owner = None) -> None:  # noqa: A002
        """Remove a finished job with all its files; raises Busy while it is alive."""
        folder, look = self._find(id, owner)
        if look.state.alive:
            raise Busy("error.job_alive", state=look.state.value)
        if look.record.carrier is Carrier.PROCESS:
            self._processes.clear(id, lambda: self._shelf.remove(folder))
        else:
            self._shelf.remove(folder)
        self._ends.forget(id)
        self._processes.forget(id)

    def adopt(self) -> Adopted:
        """Call at start-up: write down which jobs died without a word, and go on looking after those that live.

        A job that waited for a process waits again, in its place.
        """
        return adopt_all(self._shelf, self._processes, self._twins)

    def sweep(self) -> Swept:
        """Remove finished jobs that are too old, then the oldest until they fit the quotas; never a live one."""
        return self._shelf.sweep(self._overlay)

    def shutdown(self, wait_seconds: float = 10) -> bool:
        """Start nothing new, end waiting jobs, ask the running one to stop; True if it did within `wait_seconds`.

        Nobody asked these jobs to stop, so they end as interrupted. Those with a process of their own go on, and wait
        on: the next server adopts them.
        """
        with self._lock:
            self._admission.closing = True
        ended = (self._threads.shutdown(wait_seconds), self._processes.shutdown(wait_seconds))
        return all(ended)

    def _views(self, looks: Sequence[Snapshot]) -> Iterator[JobView]:
        for look in looks:
            view = None
            with self._shelf.skipping(look.record.id):
                view = self._view(self._shelf.job(look.record.id), look)
            if view:
                yield view

    def _admit_process(self, record: Record) -> None:
        running = self._processes.running(record.device or FIRST_DEVICE)
        self._admission.require(record.owner, self._processes.waiting(), running)
        self._room.require(record.bytes_needed)
        self._shelf.require_quota(record.owner)

    def _create(self, record: Record, fill: Callable[[Path], None] | None = None) -> JobFolder:
        try:
            folder = self._shelf.add(record, fill)
        except OSError as error:
            if disk_is_full(error):
                raise DiskFull("error.job_disk_full") from error
            raise
        self._twins.remember(record)
        return folder

    def _ask(self, folder: JobFolder, look: Snapshot) -> None:
        ours = self._running_here(look)
        if ours:
            ours.token.cancel()  # first: a full disk must not keep anybody from stopping our own job
        if waits_in_line(look) and not look.record.process.lives():
            cancel_untouched(folder, self._ends)  # nobody has put it back in line
            return
        if look.record.carrier is Carrier.PROCESS and not waits_in_line(look):
            self._processes.press(look)
        try:
            folder.ask_stop()
        except OSError as error:
            if not disk_is_full(error):
                raise
            self._ask_without_disk(look, error, known=ours is not None)

    def _ask_without_disk(self, look: Snapshot, error: OSError, *, known: bool) -> None:
        if look.record.carrier is Carrier.PROCESS:
            self._processes.tell(look)
        elif not known:
            raise DiskFull("error.job_disk_full") from error

    def _running_here(self, look: Snapshot) -> Task | None:
        running = self._threads.running()
        return running if running and running.id == look.record.id else None

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
        """Add what only this process knows: an end that is not on disk, or not yet, and a request in memory."""
        ending = self._ends.of(look.record.id)
        if ending and look.ending is None:
            return replace(look, ending=ending, state=ending.outcome)
        if look.state is State.INTERRUPTED and look.ending is None and self._processes.settling(look.record.id):
            asked = self._shelf.job(look.record.id).stop_file.exists()
            return replace(look, state=State.STOPPING if asked else State.RUNNING)
        running = self._running_here(look) if look.state.alive else None
        return replace(look, state=State.STOPPING) if running and running.token.asked else look

    def _view(self, folder: JobFolder, look: Snapshot) -> JobView:
        return view_of(folder, look, self._place(look.record.id))

    def _place(self, id: str) -> tuple[int | None, Sentence | None]:  # noqa: A002
        place = self._threads.place(id) or self._processes.place(id)
        if place is None:
            return None, None
        position, running = place
        if running is None:
            return position, say("say.job_next", position=position)
        return position, say("say.job_queued", position=position, running=running)
