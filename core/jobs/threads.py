"""The line of jobs that a thread of this server carries: first in, first out, one at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from core.jobs.admission import InLine
from core.jobs.ends import UnwrittenEnds
from core.jobs.folder import JobFolder
from core.jobs.records import State
from core.jobs.work import StopToken, Work, carry, end_untouched
from core.redaction import Redactor


@dataclass(frozen=True)
class Task:
    """A job and the work that a thread does for it."""

    folder: JobFolder
    kind: str
    token: StopToken
    redactor: Redactor
    work: Work
    owner: str | None = None
    """Digest of the visitor; None on an instance of one's own."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.folder.path.name


class ThreadLine:
    """Tasks that wait for the one thread that works them off; safe to ask from several threads."""

    def __init__(self, sweep: Callable[[], object], ends: UnwrittenEnds) -> None:
        """Call `sweep` before each task."""
        self._sweep = sweep
        self._ends = ends
        self._lock = threading.Lock()
        self._line: deque[Task] = deque()
        self._running: Task | None = None
        self._thread: threading.Thread | None = None

    def add(self, task: Task) -> None:
        """Put a task in line."""
        with self._lock:
            self._line.append(task)
            self._keep_working()

    def waiting(self) -> list[InLine]:
        """Return what waits, the next one first."""
        with self._lock:
            return [InLine(task.id, task.kind, task.owner) for task in self._line]

    def known(self) -> list[str]:
        """Return the ids of all jobs that wait or run here."""
        with self._lock:
            return [task.id for task in (self._running, *self._line) if task]

    def running(self) -> Task | None:
        """Return the task that is being worked on."""
        return self._running

    def place(self, id: str) -> tuple[int, str | None] | None:  # noqa: A002
        """Return a waiting job's place in line, from 1, and what kind runs before it; None when it does not wait."""
        with self._lock:
            position = next((place for place, task in enumerate(self._line, 1) if task.id == id), None)
            return (position, self._running.kind if self._running else None) if position else None

    def cancel_waiting(self, id: str) -> bool:  # noqa: A002
        """End a job that waits here; False when none of this id does."""
        with self._lock:
            task = next((task for task in self._line if task.id == id), None)
            if task is None:
                return False
            self._line.remove(task)
            self._ends.note(id, *end_untouched(task.folder, State.CANCELLED))
            return True

    def shutdown(self, wait_seconds: float) -> bool:
        """End what waits, ask what runs to stop; True if it did within `wait_seconds`. Add nothing afterwards."""
        with self._lock:
            waiting, thread, running = tuple(self._line), self._thread, self._running
            self._line.clear()
            for task in waiting:
                self._ends.note(task.id, *end_untouched(task.folder, State.INTERRUPTED))
        if running:
            running.token.close()
        if thread:
            thread.join(wait_seconds)
        return not (thread and thread.is_alive())

    def _keep_working(self) -> None:
        """Have one thread that empties the line; it ends with the line, so an idle server holds none."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work_off, name="atelier-jobs", daemon=True)
            self._thread.start()

    def _work_off(self) -> None:
        try:
            while task := self._next():
                self._sweep_before(task)
                self._ends.note(task.id, *carry(task.folder, task.token, task.redactor, task.work))
        finally:
            self._make_way()

    def _make_way(self) -> None:
        """Let the next thread begin, whatever ended this one; the job that it left undone has failed."""
        with self._lock:
            if self._thread is not threading.current_thread():  # the line was empty, and another may have begun
                return
            undone, self._running, self._thread = self._running, None, None
            if undone and undone.folder.ending() is None:
                self._ends.note(undone.id, *end_untouched(undone.folder, State.FAILED))
            if self._line:
                self._keep_working()

    def _next(self) -> Task | None:
        with self._lock:
            self._running = self._line.popleft() if self._line else None
            if self._running is None:
                self._thread = None
            return self._running

    def _sweep_before(self, task: Task) -> None:
        try:
            self._sweep()
        except Exception:  # whatever an old job's files provoke is no fault of this job
            logging.getLogger(__name__).exception("sweeping old jobs failed before job %s", task.id)
