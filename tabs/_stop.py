"""Stop on a panel: the work ends by itself, and what it has made until then, or that it was stopped, is shown.

Gradio's own way, `cancels`, drops an event together with whatever it would have shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import gradio as gr

from core.events import CancelToken
from tabs._events import QUIET, Endpoint, Visit, look_up

SETTLE_SECONDS = 3.0
"""How long a page waits for work to end that it has stopped."""

Handler = Callable[..., tuple[Any, ...]]
Wire = Callable[..., Any]
"""`compute` or `write` of tabs._events."""


@dataclass(eq=False)
class _Work:
    cancel: CancelToken
    over: threading.Event = field(default_factory=threading.Event)
    shown: tuple[Any, ...] | None = None


class Stops:
    """What runs on one panel, by the page that asked for it."""

    def __init__(self) -> None:
        """Begin with nothing that runs."""
        self._running: dict[str, _Work] = {}
        self._lock = threading.Lock()

    def stoppable(self, handler: Handler) -> Handler:
        """Return the handler as one that `stop` can end."""

        @wraps(handler)
        def run(visit: Visit, **values: Any) -> tuple[Any, ...]:
            work = self._begin(visit)
            try:
                work.shown = handler(visit, **values)
            finally:
                self._end(visit, work)
            return work.shown

        return run

    def stop(self, visit: Visit) -> tuple[Any, ...] | None:
        """Stop what this page runs, and return what it shows for it; None if that is nothing, or too slow to end."""
        with self._lock:
            work = self._running.get(visit.page)
        if not work:
            return None
        work.cancel.cancel()
        work.over.wait(SETTLE_SECONDS)
        return work.shown

    def _begin(self, visit: Visit) -> _Work:
        with self._lock:
            work = self._running[visit.page] = _Work(visit.cancel)
        return work

    def _end(self, visit: Visit, work: _Work) -> None:
        work.over.set()
        with self._lock:
            if self._running.get(visit.page) is work:
                del self._running[visit.page]


def until_stopped(wire: Wire, buttons: tuple[gr.Button, gr.Button], handler: Handler, asked: Endpoint) -> Any:
    """Wire Run and Stop: the work is asked to end, with what there is or a word, before Gradio drops the event."""
    (run, stop), stops = buttons, Stops()
    running = wire(run.click, stops.stoppable(handler), asked)

    def end(visit: Visit) -> tuple[Any, ...]:
        """Stop what this page runs, and show what there is of it."""
        return stops.stop(visit) or (gr.skip(),) * len(asked.outputs)

    stopping = Endpoint(f"{asked.api_name}_stop", {}, asked.outputs, public=False)
    stopped = look_up(stop.click, end, stopping, **QUIET)
    stopped.then(None, cancels=[running], api_visibility="private")  # what still waits in the queue; the rest has ended
    return running
