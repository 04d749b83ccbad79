"""All jobs of an instance as one list: what runs, how far it is, what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import UnknownName
from core.jobs.records import State
from core.jobs.runner import Jobs
from core.jobs.views import JobView, Owner

ACTIONS = ("stop", "resume", "delete", "log", "result")
"""What may be done about a job, in the order of buttons."""


@dataclass(frozen=True)
class BoardRow:
    """One job on the board; times in seconds."""

    shelf: str
    """Which jobs it is one of, by the name that the board was given."""
    view: JobView
    remaining_seconds: float | None
    """Estimated; None while nothing can be said, and when it does not run."""
    actions: tuple[str, ...]
    """Those of ACTIONS that would not be refused now."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.view.id


@dataclass(frozen=True)
class JobBoard:
    """Several shelves of jobs, by name; an id is found on whichever shelf it lies."""

    shelves: Mapping[str, Jobs]

    def rows(self, owner: Owner = None, limit: int = 20) -> list[BoardRow]:
        """Return this owner's living jobs, then those that ended last, `limit` of them; each kind newest first."""
        rows = [row for name in self.shelves for row in self._rows_of(name, owner, limit)]
        rows.sort(key=lambda row: (row.view.state.alive, row.view.created), reverse=True)
        alive = sum(row.view.state.alive for row in rows)
        return rows[: alive + limit]

    def alive(self, owner: Owner = None) -> int:
        """Return how many of this owner's jobs wait or run."""
        return sum(row.view.state.alive for row in self.rows(owner, limit=0))

    def row(self, id: str, owner: Owner = None) -> BoardRow:  # noqa: A002
        """Return one job; raises UnknownName, alike for what is not there and what is not yours."""
        name, jobs = self._shelf_of(id, owner)
        return _row(name, jobs.view(id, owner))

    def shelf_of(self, id: str, owner: Owner = None) -> Jobs:  # noqa: A002
        """Return the jobs that `id` is one of; raises UnknownName as `row` does."""
        return self._shelf_of(id, owner)[1]

    def stop(self, id: str, owner: Owner = None) -> State:  # noqa: A002
        """Ask a job to stop, and return its state."""
        return self.shelf_of(id, owner).stop(id, owner)

    def resume(self, id: str, owner: Owner = None) -> str:  # noqa: A002
        """Go on with a job that ended; raises what `Jobs.resume` does."""
        return self.shelf_of(id, owner).resume(id, owner)

    def delete(self, id: str, owner: Owner = None) -> None:  # noqa: A002
        """Remove a finished job with all its files; raises Busy while it is alive."""
        self.shelf_of(id, owner).delete(id, owner)

    def log(self, id: str, owner: Owner = None) -> str:  # noqa: A002
        """Return the end of a job's log."""
        return self.shelf_of(id, owner).log(id, owner)

    def result_folder(self, id: str, owner: Owner = None) -> Path:  # noqa: A002
        """Return the folder with what a job made so far."""
        return self.shelf_of(id, owner).result_folder(id, owner)

    def _rows_of(self, name: str, owner: Owner, limit: int) -> Iterator[BoardRow]:
        for view in self.shelves[name].recent(owner, limit):
            yield _row(name, view)

    def _shelf_of(self, id: str, owner: Owner) -> tuple[str, Jobs]:  # noqa: A002
        for name, jobs in self.shelves.items():
            try:
                jobs.state(id, owner)
            except UnknownName:
                continue
            return name, jobs
        raise UnknownName("error.job_unknown")


def _row(shelf: str, view: JobView) -> BoardRow:
    runs = view.state is State.RUNNING and view.progress is not None
    return BoardRow(shelf, view, view.progress.remaining_seconds if runs and view.progress else None, _actions(view))


def _actions(view: JobView) -> tuple[str, ...]:
    alive = view.state.alive
    possible = {
        "stop": view.state in (State.QUEUED, State.RUNNING),
        "resume": view.resumable,
        "delete": not alive,
        "log": view.state is not State.QUEUED,
        "result": not alive,
    }
    return tuple(action for action in ACTIONS if possible[action])
