"""Who may wait in line, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import Busy

MOST_WAITING_EACH = 3
"""How many jobs of one visitor may wait, so that nobody fills the line that all share."""


@dataclass(frozen=True)
class InLine:
    """A job that waits: whose it is (as a digest), and what it is."""

    id: str
    kind: str
    owner: str | None


@dataclass
class Admission:
    """Says who gets in; the caller lets one start in at a time."""

    most_waiting: int
    closing: bool = False

    def require(self, owner: str | None, waiting: Sequence[InLine], running: str | None) -> None:
        """Raise Busy where one more cannot wait; `running` is the kind of job that is being worked on."""
        if self.closing:
            raise Busy("error.jobs_closing")
        if owner is not None and sum(one.owner == owner for one in waiting) >= MOST_WAITING_EACH:
            raise Busy("error.jobs_full_each", limit=MOST_WAITING_EACH)
        if len(waiting) >= self.most_waiting:
            raise Busy("error.jobs_full", limit=self.most_waiting, running=running or waiting[0].kind)
