"""The lines of jobs with a process of their own: one line a device, first in, first out, one at a time on each.

One thread looks after them while anything waits or lives: it starts the next, presses those that were asked to stop,
and writes down the end of those that died without a word. The jobs themselves need neither it nor this server: what
runs is found again by its files, and what waits goes back in line in the same order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from core.errors import DiskFull
from core.jobs.admission import InLine
from core.jobs.ends import UnwrittenEnds
from core.jobs.folder import JobFolder, Snapshot
from core.jobs.records import Carrier, Ending, Record, State, waits_for_process
from core.jobs.room import Room
from core.jobs.shelf import JobShelf
from core.jobs.tree import end_by_force, held_by, processes_of, tell_to_end
from core.jobs.watch import Patience, Watched, cancel_untouched, heads, mark_of, refused, start_watched
from core.jobs.work import end_untouched, write_ending

FIRST_DEVICE = "cpu"
STRANGERS_SECONDS = 1.0
"""Another server's jobs on the same shelf are looked for at most this often."""


@dataclass
class _Waiting:
    folder: JobFolder
    record: Record
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def device(self) -> str:
        return self.record.device or FIRST_DEVICE


class ProcessLines:
    """Jobs that wait for a process, and those that have one; safe to ask from several threads."""

    def __init__(self, shelf: JobShelf, room: Room, patience: Patience, ends: UnwrittenEnds) -> None:
        """Look after nothing yet."""
        self._shelf = shelf
        self._room = room
        self._patience = patience
        self._ends = ends
        self._lock = threading.Lock()
        self._tending = threading.Lock()
        """Held while processes are looked after, so that nobody begins an attempt under the last one's hands."""
        self._waiting: list[_Waiting] = []
        self._watched: dict[str, Watched] = {}
        self._secrets: dict[str, Mapping[str, str]] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = False
        self._strangers: tuple[float, frozenset[str]] = (-STRANGERS_SECONDS, frozenset())

    def add(self, folder: JobFolder, record: Record, secrets: Mapping[str, str]) -> None:
        """Put a job in line; `secrets` are remembered for its next attempt, too."""
        with self._lock:
            if any(one.record.id == record.id for one in self._waiting):
                return
            if secrets:
                self._secrets[record.id] = dict(secrets)
            self._waiting.append(_Waiting(folder, record, self._secrets.get(record.id, {})))
            self._waiting.sort(key=lambda one: one.record.place)
            self._keep_tending()

    def watch(self, look: Snapshot) -> None:
        """Look after a job that lives already, whoever started it."""
        with self._lock:
            if look.record.id not in self._watched:
                self._watched[look.record.id] = Watched(self._shelf.job(look.record.id), look.record)
            self._keep_tending()

    def press(self, look: Snapshot) -> None:
        """Look after a job that is about to be asked to stop, and remember what its processes hold."""
        held = held_by(processes_of(look.record.id))
        self.watch(look)
        with self._lock:
            if one := self._watched.get(look.record.id):
                one.note_request(held)

    def settling(self, id: str) -> bool:  # noqa: A002
        """Tell whether a job is looked after here: its death is not its end before that is written down."""
        with self._lock:
            return id in self._watched and self._thread is not None

    def take(self, look: Snapshot) -> bool:
        """Put a job back in line that an earlier server left waiting; False while that server lives."""
        here = self._shelf.here
        if look.record.process != here and look.record.process.lives():
            return False
        folder, record = self._shelf.job(look.record.id), replace(look.record, process=here)
        folder.write_record(record)
        self.add(folder, record, {})
        return True

    def waiting(self) -> list[InLine]:
        """Return what waits, the first one first."""
        with self._lock:
            return [InLine(one.record.id, one.record.kind, one.record.owner) for one in self._waiting]

    def known(self) -> list[str]:
        """Return the ids of all jobs that wait or are looked after here."""
        with self._lock:
            return [*self._watched, *(one.record.id for one in self._waiting)]

    def place(self, id: str) -> tuple[int, str | None] | None:  # noqa: A002
        """Return a waiting job's place in its device's line, from 1, and what kind runs there; None if it does not."""
        with self._lock:
            device = next((one.device for one in self._waiting if one.record.id == id), None)
            if device is None:
                return None
            line = [one.record.id for one in self._waiting if one.device == device]
            return line.index(id) + 1, next((one.record.kind for one in self._on(device)), None)

    def cancel_waiting(self, id: str) -> bool:  # noqa: A002
        """End a job that waits here; False when none of this id does."""
        with self._lock:
            found = next((one for one in self._waiting if one.record.id == id), None)
            if found:
                self._waiting.remove(found)
                cancel_untouched(found.folder, self._ends)
            return found is not None

    def running(self, device: str) -> str | None:
        """Return what kind of job runs on a device."""
        with self._lock:
            return next((one.record.kind for one in self._on(device)), None)

    def tell(self, look: Snapshot) -> None:
        """Send SIGTERM to a job whose request to stop no disk would take."""
        tell_to_end(heads(self._shelf.job(look.record.id), look.record))

    def clear(self, id: str, begin: Callable[[], object] = lambda: None) -> None:  # noqa: A002
        """End whatever is left of a job that has ended, forget it, and `begin` what must meet nothing of it."""
        with self._tending:
            with self._lock:
                left = self._watched.pop(id, None)
            end_by_force(id)
            if left and left.child:
                left.child.wait(self._patience.linger)
            begin()

    def forget(self, id: str) -> None:  # noqa: A002
        """Forget a deleted job's secrets."""
        self._secrets.pop(id, None)

    def shutdown(self, wait_seconds: float) -> bool:
        """Look after nothing any more: what runs goes on, and what waits is found by the next server."""
        with self._lock:
            self._closing = True
            thread = self._thread
            self._waiting.clear()
        self._wake.set()
        if thread:
            thread.join(wait_seconds)
        return not (thread and thread.is_alive())

    def _keep_tending(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._tend_all, name="atelier-processes", daemon=True)
            self._thread.start()
        self._wake.set()

    def _tend_all(self) -> None:
        while self._any_left():
            self._wake.wait(self._patience.tick)
            self._wake.clear()
            with self._tending:
                try:
                    self._tend_once()
                except OSError:  # a disk that does not answer now may do so in a moment
                    logging.getLogger(__name__).exception("looking after jobs failed")

    def _any_left(self) -> bool:
        with self._lock:
            if self._closing or not (self._watched or self._waiting):
                self._thread = None
                return False
            return True

    def _tend_once(self) -> None:
        with self._lock:
            watched, waiting = dict(self._watched), tuple(self._waiting)
        for id_, one in watched.items():
            if self._ended(one):
                with self._lock:
                    self._watched.pop(id_, None)
        for asked in (one for one in waiting if one.folder.stop_file.exists()):
            self.cancel_waiting(asked.record.id)
        for device in {one.device for one in waiting}:
            self._start_next(device)

    def _ended(self, one: Watched) -> bool:
        try:
            return one.tend(self._patience, self._ends)
        except Exception:  # whatever one job's files or processes provoke must not keep the others waiting
            logging.getLogger(__name__).exception("job %s: its process is left alone", one.record.id)
            return True

    def _start_next(self, device: str) -> None:
        with self._lock:
            busy = self._closing or any(self._on(device)) or device in self._taken_by_strangers()
            following = next((one for one in self._waiting if one.device == device), None)
            if busy or following is None:
                return
            self._waiting.remove(following)
        try:
            started = self._start(following)
        except Exception:  # a fault of ours ends this job, never the line behind it
            logging.getLogger(__name__).exception("job %s: starting its process failed", following.record.id)
            started = None
            self._ends.note(following.record.id, *end_untouched(following.folder, State.FAILED))
        if started:
            with self._lock:
                self._watched[following.record.id] = started

    def _on(self, device: str) -> list[Watched]:
        return [one for one in self._watched.values() if (one.record.device or FIRST_DEVICE) == device]

    def _taken_by_strangers(self) -> frozenset[str]:
        """Return the devices on which another server's jobs of this shelf run; not newer than a second."""
        now = time.monotonic()
        if now - self._strangers[0] >= STRANGERS_SECONDS:
            taken = {look.record.device or FIRST_DEVICE for look in self._shelf.looks() if self._runs_elsewhere(look)}
            self._strangers = now, frozenset(taken)
        return self._strangers[1]

    def _runs_elsewhere(self, look: Snapshot) -> bool:
        running = look.record.carrier is Carrier.PROCESS and look.state in (State.RUNNING, State.STOPPING)
        return running and look.record.id not in self._watched and not waits_in_line(look)

    def _start(self, job: _Waiting) -> Watched | None:
        """Start a job's process; one that lives already, since a server died just after its start, is taken on."""
        if job.folder.ending() or not job.folder.path.is_dir():
            return None
        if found := processes_of(job.record.id):
            job.folder.write_launch(mark_of(found[0].pid))
            return Watched(job.folder, job.record)
        started = self._launch(job)
        if isinstance(started, Watched):
            return started
        self._ends.note(job.record.id, started, write_ending(job.folder, started))
        return None

    def _launch(self, job: _Waiting) -> Watched | Ending:
        try:
            self._room.require(job.record.bytes_needed)
        except DiskFull as refusal:
            return refused(refusal)
        return start_watched(job.folder, job.record, job.secrets)


def waits_in_line(look: Snapshot) -> bool:
    """Tell whether a job still waits for its process, asked to stop or not."""
    return look.state.alive and waits_for_process(look.record) and not look.launched
