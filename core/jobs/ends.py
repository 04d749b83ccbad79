"""Ends that the disk refused: known to this process alone, so that it still tells the truth while it lives."""

from __future__ import annotations

import logging

from core.jobs.records import Ending


class UnwrittenEnds:
    """Endings by job id; safe to ask from several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ends: dict[str, Ending] = {}

    def note(self, id: str, ending: Ending, written: bool) -> None:  # noqa: A002, FBT001
        """Keep an ending unless it was written."""
        if not written:
            self._ends[id] = ending
            logging.getLogger(__name__).error("job %s: its end (%s) could not be written", id, ending.outcome)

    def of(self, id: str) -> Ending | None:  # noqa: A002
        """Return the ending of a job that only this process knows."""
        return self._ends.get(id)

    def forget(self, id: str) -> None:  # noqa: A002
        """Forget a job that is deleted, or begins again."""
        self._ends.pop(id, None)
