"""Many users, one forward pass: requests that wait for the same model run together, in one thread.

One thread computes, so that two requests do not fight over the cores (each Python thread would bring its own
OpenMP team) and so that no torch context can leak from one request into another.
Nobody waits for company: a request that finds the thread free goes at once. Texts that are being written
(core/compute/decoding.py) get one token a turn, and whoever waits goes first, so that a long text holds nobody up. Of
several models that write each gets as much time as the others, and the rows of a table go after what people wait for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.compute.decoding import Decoder, Writing, Written
from core.compute.traced import Steps
from core.compute.turns import Patience, Shares, Turns
from core.errors import Cancelled, NotEnoughMemory
from core.events import CancelToken
from core.machine.memory import ran_out
from core.unload import let_go

LARGEST_BATCH = 64
"""Items in one forward pass, at most."""

Run = Callable[[Sequence[Any]], Sequence[Any]]
T = TypeVar("T")


@dataclass(eq=False)
class _Waiting:
    group: Hashable
    items: Sequence[Any]
    run: Run
    background: bool
    outcome: Future[list[Any]] = field(default_factory=Future)


class Batcher:
    """Runs requests of one group together; interactive requests go before background ones."""

    def __init__(self) -> None:
        """Start without a thread; the first request starts it."""
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._decoders: Shares[Decoder] = Shares()
        self._steps = Steps()
        self._patience = Patience()
        """Of waiting background requests."""
        self._turns = Turns()

    def submit(
        self,
        group: Hashable,
        items: Sequence[Any],
        run: Run,
        *,
        background: bool = False,
        cancel: CancelToken | None = None,
    ) -> list[Any]:
        """Return `run(items)`, perhaps computed together with others of the same `group`.

        `run` gets a sequence and returns one result an item, in order; an exception of one request's items
        reaches that request alone, and memory that runs out is NotEnoughMemory. Raises Cancelled if `cancel` is set
        before the work begins or ends: at once while it waits, else when the forward pass is over.
        """
        waiting = _Waiting(group, items, run, background)
        with self._changed:
            self._waiting.append(waiting)
            self._wake()
        return self._wait(waiting, cancel or CancelToken())

    def write(self, model: Any, *writings: Writing, at_once: int | None = None) -> list[Written]:
        """Return what `model` (a causal language model) wrote, token by token, beside whatever else is being written.

        Of many, `at_once` are written at a time: where one ends the next begins. Those in the background are written
        apart from the others, and after them. Raises Cancelled at most one token after `writing.cancel` is set, and
        the first problem once all have ended.
        """
        later = deque(writings)
        for _ in range(at_once or len(writings)):
            self._begin_next(model, later)
        wait([writing.outcome for writing in writings])
        try:
            return [writing.outcome.result() for writing in writings]
        except BaseException as problem:  # noqa: BLE001 passed on in words
            if ran_out(problem):
                let_go(problem)
            raise _in_words(problem) from problem.__cause__

    def _begin_next(self, model: Any, later: deque[Writing]) -> None:
        """Begin to write the next text, and when that has ended, the one after it; what was stopped is not begun."""
        with self._changed:
            while later and later[0].cancel.cancelled:
                later.popleft().fail(Cancelled("error.cancelled"))
            if not later:
                return
            writing = later.popleft()
            self._decoder(model, background=writing.background).join(writing)
            self._wake()
        writing.outcome.add_done_callback(lambda _: self._begin_next(model, later))

    def _decoder(self, model: Any, *, background: bool) -> Decoder:
        found = self._decoders.find(lambda decoder: decoder.model is model, background=background)
        if found is None:
            found = Decoder(model, self._steps)
            self._decoders.join(found, background=background)
        return found

    def take_turns(self, work: Callable[[Callable[[], None]], T], *, background: bool = False) -> T:
        """Return `work(give_way)`, run in the caller's thread while the compute thread and others like it wait.

        For long work that is a loop of the library's own, as `generate` with beams is: it must call `give_way`
        between two steps, and whoever has waited longest computes next; background work goes after all others.
        Memory that runs out is NotEnoughMemory.
        """
        with self._turns.in_background() if background else self._turns:
            try:
                return work(self._turns.give_way)
            except BaseException as problem:  # noqa: BLE001 passed on in words
                if ran_out(problem):
                    let_go(problem)
                raise _in_words(problem) from problem.__cause__

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="atelier-compute", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _wait(self, waiting: _Waiting, cancel: CancelToken) -> list[Any]:
        """Return the outcome; a request that already runs is left to end first, for until then it uses its model."""
        while not wait((waiting.outcome,), timeout=0.1).done:
            if cancel.cancelled and waiting.outcome.cancel():
                self._forget(waiting)
                break
        cancel.check()
        return waiting.outcome.result()

    def _forget(self, waiting: _Waiting) -> None:
        with self._changed:
            self._waiting = deque(other for other in self._waiting if other is not waiting)

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._decoders:
                    self._changed.wait()
            with self._turns.in_background(self._only_background):
                self._take_turn()  # returns before this thread sleeps, so that nothing keeps what is finished alive
            self._forget_idle()

    def _only_background(self) -> bool:
        """Tell whether nobody waits for what this thread does next; it may be asked while the thread waits."""
        with self._changed:
            return not self._decoders.urgent and all(waiting.background for waiting in self._waiting)

    def _take_turn(self) -> None:
        """Run what waits, and let one model write on."""
        with self._changed:
            together = self._choose() if self._may_run() else []
            hurried = any(not waiting.background for waiting in (*together, *self._waiting))
            share = self._decoders.next(hurried=hurried)
        _run_together(together)
        if share is not None:
            with share.measured():
                _step(share.one)

    def _may_run(self) -> bool:
        """Tell whether waiting requests get this turn: always, but background ones only now and then beside writing."""
        if any(not waiting.background for waiting in self._waiting):
            return True
        if not self._waiting or (self._decoders.urgent and not self._patience.over):
            return False
        self._patience.begin()
        return True

    def _forget_idle(self) -> None:
        """Let go of models that write nothing any more."""
        with self._changed:
            self._decoders.keep(lambda decoder: not decoder.idle)

    def _choose(self) -> list[_Waiting]:
        """Take the oldest interactive request (else the oldest), and what can run with it.

        An interactive request is not joined by background ones: it would wait for their rows.
        """
        first = next((waiting for waiting in self._waiting if not waiting.background), self._waiting[0])
        chosen: list[_Waiting] = []
        size = 0
        for waiting in self._waiting:
            if (waiting.group, waiting.background) != (first.group, first.background):
                continue
            if chosen and size + len(waiting.items) > LARGEST_BATCH:
                continue
            chosen.append(waiting)
            size += len(waiting.items)
        self._waiting = deque(waiting for waiting in self._waiting if waiting not in chosen)
        return [waiting for waiting in chosen if waiting.outcome.set_running_or_notify_cancel()]


def _run_together(together: list[_Waiting]) -> None:
    """Run all at once; if that fails, one by one, so that a bad request fails alone."""
    if not together:
        return
    try:
        results = _run_all(together)
    except BaseException as problem:  # noqa: BLE001 it belongs to the requester; the thread must outlive even an exit
        if ran_out(problem):
            let_go(problem)  # its frames hold the tensors that filled the memory
        if len(together) == 1:
            together[0].outcome.set_exception(_in_words(problem))
            return
        for waiting in together:
            _run_together([waiting])
        return
    for waiting in together:
        count = len(waiting.items)
        waiting.outcome.set_result(results[:count])
        results = results[count:]


def _step(decoder: Decoder) -> None:
    try:
        decoder.step()
    except BaseException as problem:  # noqa: BLE001 the thread must outlive it
        decoder.fail_all(_in_words(problem))


def _in_words(problem: BaseException) -> BaseException:
    """Return what the requester is told: memory that ran out is a sentence, anything else stays what it is."""
    if not ran_out(problem):
        return problem
    refusal = NotEnoughMemory("error.memory_ran_out_computing")
    refusal.__cause__ = problem
    return refusal


def _run_all(together: list[_Waiting]) -> list[Any]:
    items = [item for waiting in together for item in waiting.items]
    results = list(together[0].run(items))
    if len(results) != len(items):
        raise ValueError(f"{len(items)} items went in, {len(results)} results came out")
    return results
