"""Stop on a text panel: what runs for this page is asked to end, and nothing else."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.errors import Cancelled
from tabs._events import Visit
from tabs._stop import Stops


class Work:
    """A handler that works until it is stopped, on a thread of its own."""

    def __init__(self, stops: Stops, visit: Visit, shown: tuple[str, ...] | None) -> None:
        """Begin; a stop ends it with what is `shown`, or in Cancelled where that is None."""
        self._shown, self._began, self.ended = shown, threading.Event(), False
        self._thread = threading.Thread(target=self._watch, args=(stops.stoppable(self._run), visit), daemon=True)
        self._thread.start()
        assert self._began.wait(10)

    def _watch(self, run: Any, visit: Visit) -> None:
        try:
            run(visit)
        except Cancelled:
            self.ended = True

    def _run(self, visit: Visit) -> tuple[str, ...]:
        self._began.set()
        while not visit.cancel.cancelled:
            threading.Event().wait(0.01)
        if self._shown is None:
            visit.cancel.check()
        assert self._shown is not None
        return self._shown


@pytest.mark.parametrize("shown", [("half a text",), None])
def test_a_stop_ends_the_work_of_its_page(shown: tuple[str, ...] | None) -> None:
    """It returns what there is; work that has nothing to show tells by itself that it was stopped."""
    stops, mine, other = Stops(), Visit(page="mine"), Visit(page="other")
    running, work = Work(stops, other, shown=("whole",)), Work(stops, mine, shown)
    assert stops.stop(mine) == shown
    assert work.ended == (shown is None)
    assert not other.cancel.cancelled
    assert stops.stop(mine) is None
    assert stops.stop(other) == ("whole",)
    assert not running.ended
