"""A second start of the same thing is the first one: a double click runs once, over a restart, too."""

from __future__ import annotations

from collections.abc import Callable

from core.jobs.records import Record, State


class Twins:
    """Which job was started last under each key; the caller lets one start in at a time."""

    def __init__(self, state_of: Callable[[str], State]) -> None:
        """Ask `state_of` for a job's state; it raises OSError or ValueError for one that is not there any more."""
        self._state_of = state_of
        self._jobs: dict[str, str] = {}

    def remember(self, record: Record) -> None:
        """Note a job under its key, if it has one."""
        if record.once:
            self._jobs[record.once] = record.id

    def alive(self, once: str | None) -> str | None:
        """Return the job that waits or runs under the same key; one that is stopping does not count."""
        twin = self._jobs.get(once or "")
        if twin is None:
            return None
        try:
            state = self._state_of(twin)
        except (OSError, ValueError):  # deleted meanwhile, or not to be read any more
            return None
        return twin if state in (State.QUEUED, State.RUNNING) else None
