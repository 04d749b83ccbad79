"""Requests of many users through the one compute thread."""

from __future__ import annotations

import errno
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.compute.batching import LARGEST_BATCH, Batcher
from core.compute.decoding import Rule, Writing
from core.errors import Cancelled, NotEnoughMemory
from core.events import CancelToken

SECONDS = 30
"""Longest wait for a condition before a test fails."""


class Recorder:
    """Doubles its items and writes down which ones ran together."""

    def __init__(self) -> None:
        """Begin with no calls."""
        self.calls: list[list[Any]] = []

    def __call__(self, items: Sequence[Any]) -> list[Any]:
        """Refuse the item "bad"; return the others twice themselves."""
        self.calls.append(list(items))
        if "bad" in items:
            raise ArithmeticError("bad")
        return [item * 2 for item in items]


@contextmanager
def busy(batcher: Batcher, users: ThreadPoolExecutor) -> Iterator[None]:
    """Keep the compute thread busy inside the block, so that other requests must wait."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(items: Sequence[Any]) -> Sequence[Any]:
        begun.set()
        assert go_on.wait(SECONDS)
        return items

    holder = users.submit(batcher.submit, "holder", [None], hold)
    assert begun.wait(SECONDS)
    try:
        yield
    finally:
        go_on.set()
        holder.result(SECONDS)


def until_waiting(batcher: Batcher, count: int) -> None:
    """Return once `count` requests wait for the compute thread."""
    with batcher._changed:
        reached = batcher._changed.wait_for(lambda: len(batcher._waiting) == count, SECONDS)
    assert reached, f"{len(batcher._waiting)} requests wait, not {count}"


@pytest.fixture
def users() -> Iterator[ThreadPoolExecutor]:
    """Threads that play the users."""
    with ThreadPoolExecutor(16) as pool:
        yield pool


def queue(
    batcher: Batcher, users: ThreadPoolExecutor, requests: Sequence[tuple[str, list[Any], bool]], run: Any
) -> list[Future[list[Any]]]:
    """Send (group, items, background) one after the other, each once the one before it waits."""
    futures = []
    for place, (group, items, background) in enumerate(requests, start=1):
        futures.append(users.submit(batcher.submit, group, items, run, background=background))
        until_waiting(batcher, place)
    return futures


def test_a_free_thread_answers_at_once_and_in_order() -> None:
    """A lone request needs no company, and its results keep the order of its items."""
    assert Batcher().submit("model", [3, 1, 2], Recorder()) == [6, 2, 4]


def test_waiting_requests_of_one_group_run_together(users: ThreadPoolExecutor) -> None:
    """Requests for one model that wait at the same time share one call, and each gets its own results."""
    batcher, run = Batcher(), Recorder()
    with busy(batcher, users):
        futures = queue(batcher, users, [("one", [1, 2], False), ("two", [9], False), ("one", [3], False)], run)
    assert [future.result(SECONDS) for future in futures] == [[2, 4], [18], [6]]
    assert run.calls == [[1, 2, 3], [9]]


def test_interactive_requests_go_before_background_ones(users: ThreadPoolExecutor) -> None:
    """An interactive request overtakes background work that waited longer, and is not made to carry its rows."""
    batcher, run = Batcher(), Recorder()
    with busy(batcher, users):
        futures = queue(batcher, users, [("one", [1], True), ("two", [2], True), ("one", [3], False)], run)
    assert [future.result(SECONDS) for future in futures] == [[2], [4], [6]]
    assert run.calls == [[3], [1], [2]]


def test_a_bad_request_fails_alone(users: ThreadPoolExecutor) -> None:
    """An exception reaches the request whose items caused it; those that ran with it get their results."""
    batcher, run = Batcher(), Recorder()
    with busy(batcher, users):
        good, bad, other = queue(
            batcher, users, [("one", [1], False), ("one", ["bad"], False), ("one", [3], False)], run
        )
    assert (good.result(SECONDS), other.result(SECONDS)) == ([2], [6])
    with pytest.raises(ArithmeticError, match="bad"):
        bad.result(SECONDS)


def test_no_batch_is_larger_than_the_limit(users: ThreadPoolExecutor) -> None:
    """Requests that together exceed the largest batch run in several, later small ones filling the gap."""
    batcher, run = Batcher(), Recorder()
    half = [1] * (LARGEST_BATCH // 2 + 1)
    with busy(batcher, users):
        futures = queue(batcher, users, [("one", half, False), ("one", half, False), ("one", [5], False)], run)
    assert [len(future.result(SECONDS)) for future in futures] == [len(half), len(half), 1]
    assert [len(call) for call in run.calls] == [len(half) + 1, len(half)]


@pytest.mark.parametrize("problem", [TimeoutError("slow disk"), SystemExit(3)])
def test_any_exception_of_the_work_reaches_its_requester(problem: BaseException) -> None:
    """A time-out raised by the work is not taken for our own waiting, and an exit does not end the thread."""
    batcher = Batcher()

    def fail(_: Sequence[Any]) -> list[Any]:
        raise problem

    with pytest.raises(type(problem)):
        batcher.submit("one", [1], fail)
    assert batcher.submit("one", [1], Recorder()) == [2]


@pytest.mark.parametrize(
    "problem", [MemoryError(), RuntimeError("CUDA out of memory. Tried"), OSError(errno.ENOMEM, "no memory")]
)
def test_memory_that_runs_out_is_a_sentence_and_is_not_tried_again(problem: Exception) -> None:
    """The requester reads what to do, the work ran once, and the next request is served."""
    batcher, calls = Batcher(), []

    def fail(items: Sequence[Any]) -> list[Any]:
        calls.append(items)
        raise problem

    with pytest.raises(NotEnoughMemory, match="Ask for less at once") as caught:
        batcher.submit("one", [1], fail)
    assert (len(calls), caught.value.__cause__) == (1, problem)
    assert batcher.submit("one", [1], Recorder()) == [2]


def test_too_few_results_are_an_error() -> None:
    """Work that loses a result is refused, for the next request would get the wrong one."""
    with pytest.raises(ValueError, match="2 items went in, 1 results came out"):
        Batcher().submit("one", [1, 2], lambda items: items[:1])


def test_cancel_while_waiting(users: ThreadPoolExecutor) -> None:
    """A request that is stopped before its turn ends at once, never runs, and leaves the line."""
    batcher, run, cancel = Batcher(), Recorder(), CancelToken()
    with busy(batcher, users):
        stopped = users.submit(batcher.submit, "one", [1], run, cancel=cancel)
        until_waiting(batcher, 1)
        cancel.cancel()
        with pytest.raises(Cancelled):
            stopped.result(SECONDS)
        assert not batcher._waiting
    assert run.calls == []
    assert batcher.submit("one", [2], run) == [4]


def test_cancel_while_running_waits_for_the_work_to_leave(users: ThreadPoolExecutor) -> None:
    """A request that is stopped while it runs ends as stopped, and only when nothing uses its model any more."""
    batcher, cancel = Batcher(), CancelToken()
    begun, go_on, left = threading.Event(), threading.Event(), threading.Event()

    def work(items: Sequence[Any]) -> Sequence[Any]:
        begun.set()
        assert go_on.wait(SECONDS)
        left.set()
        return items

    stopped = users.submit(batcher.submit, "one", [1], work, cancel=cancel)
    assert begun.wait(SECONDS)
    cancel.cancel()
    with pytest.raises(TimeoutError):
        stopped.result(0.3)
    go_on.set()
    with pytest.raises(Cancelled):
        stopped.result(SECONDS)
    assert left.is_set()


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_finished_request_is_kept(*, fails: bool) -> None:
    """After a request, done or failed, neither its items nor its model are referenced by the waiting thread."""

    class Model:
        def run(self, items: Sequence[Any]) -> Sequence[Any]:
            if fails:
                raise ArithmeticError("no")
            return items

    batcher, model = Batcher(), Model()
    alive = weakref.ref(model)
    if fails:
        with pytest.raises(ArithmeticError):
            batcher.submit("one", [model], model.run)
    else:
        batcher.submit("one", [model], model.run)
    del model
    batcher.submit("next", [1], Recorder())  # answered only when the thread has left the first request behind
    gc.collect()
    assert alive() is None


def test_long_work_gives_way_between_its_steps(users: ThreadPoolExecutor) -> None:
    """Work in turns lets another request in between two of its steps."""
    batcher = Batcher()

    def work(give_way: Callable[[], None]) -> list[int]:
        asked = users.submit(batcher.submit, "one", [1], Recorder())
        while not asked.done():
            give_way()
        return list(asked.result())

    assert batcher.take_turns(work) == [2]


def test_background_requests_do_not_hurry_others(users: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long work gives way to a request that somebody waits for, and not to one of a table, though that came first."""
    monkeypatch.setattr("core.compute.turns.BACKGROUND_PATIENCE", float("inf"))
    batcher, run = Batcher(), Recorder()

    def work(give_way: Callable[[], None]) -> list[bool]:
        table = users.submit(batcher.submit, "table", [1], run, background=True)
        until_waiting(batcher, 1)
        give_way()
        visitor = users.submit(batcher.submit, "visitor", [2], run)
        until_waiting(batcher, 2)
        while batcher._turns._waiting == []:  # the compute thread has yet to ask for its turn
            give_way()
        give_way()
        return [visitor.result(SECONDS) == [4], table.done()]

    assert batcher.take_turns(work) == [True, False]


def writing(
    told: Callable[[Any], None], tokens: int = 30, cancel: CancelToken | None = None, *, background: bool = True
) -> Writing:
    """Ask for so many tokens."""
    rule = Rule(process=lambda _, logits: logits, ended=lambda ids: [None] * len(ids), max_new_tokens=tokens)
    return Writing([1, 5, 9], rule, told=told, cancel=cancel or CancelToken(), background=background)


@pytest.fixture
def llama() -> Any:
    """Give a tiny causal language model."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes)).eval()


@pytest.mark.parametrize(("patience", "beside"), [(float("inf"), False), (1e-9, True)])
def test_a_table_is_written_after_what_people_wait_for(
    llama: Any, users: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, patience: float, *, beside: bool
) -> None:
    """While a visitor's text is written, a table's gets a token only when it has waited for long."""
    monkeypatch.setattr("core.compute.turns.BACKGROUND_PATIENCE", patience)
    batcher, order, begun, joined = Batcher(), [], threading.Event(), threading.Event()

    def table(_: Any) -> None:
        order.append("table")
        begun.set()
        assert joined.wait(SECONDS)

    written = users.submit(batcher.write, llama, writing(table))
    assert begun.wait(SECONDS)
    asked = users.submit(batcher.write, llama, writing(lambda _: order.append("visitor"), background=False))
    until_urgent(batcher)
    joined.set()
    assert [len(one.result(SECONDS)[0].rows[0]) for one in (asked, written)] == [30, 30]
    first = order.index("visitor")
    assert ("table" in order[first : first + 30]) == beside


@pytest.mark.parametrize(("patience", "beside"), [(float("inf"), False), (0.0, True)])
def test_a_tables_request_waits_beside_a_text(
    llama: Any, users: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, patience: float, *, beside: bool
) -> None:
    """While a visitor's text is written, a table's forward pass is computed only when it has waited for long."""
    monkeypatch.setattr("core.compute.turns.BACKGROUND_PATIENCE", patience)
    batcher, order, begun, joined = Batcher(), [], threading.Event(), threading.Event()

    def visitor(_: Any) -> None:
        order.append("visitor")
        begun.set()
        assert joined.wait(SECONDS)

    written = users.submit(batcher.write, llama, writing(visitor, background=False))
    assert begun.wait(SECONDS)
    asked = users.submit(batcher.submit, "table", [1], lambda items: order.append("table") or items, background=True)
    until_waiting(batcher, 1)
    joined.set()
    for one in (written, asked):
        one.result(SECONDS)
    assert order.index("table") == (1 if beside else 30)


def until_urgent(batcher: Batcher) -> None:
    """Return once somebody's text waits to be written."""
    end = time.monotonic() + SECONDS
    while batcher._only_background():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_of_many_texts_some_are_written_at_a_time(llama: Any) -> None:
    """Where one ends the next begins, without waiting for the slowest of those that began together."""
    begun: list[int] = []
    left: list[int] = []
    most: list[int] = []
    lengths = [40, 5, 5, 5, 5, 5]

    def told(place: int) -> Callable[[Any], None]:
        def tell(_: Any) -> None:
            counts[place] += 1
            if counts[place] == 1:
                begun.append(place)
            if counts[place] == lengths[place]:
                left.append(place)
            most.append(len(begun) - len(left))

        return tell

    counts = [0] * len(lengths)
    writings = [writing(told(place), length) for place, length in enumerate(lengths)]
    found = Batcher().write(llama, *writings, at_once=2)
    assert [len(one.rows[0]) for one in found] == counts == lengths
    assert max(most) == 2
    assert left == [1, 2, 3, 4, 5, 0]


def test_a_stop_begins_no_other_text(llama: Any) -> None:
    """Once it is stopped, what has not begun never does."""
    cancel, told = CancelToken(), []

    def tell(_: Any) -> None:
        told.append(1)
        cancel.cancel()

    with pytest.raises(Cancelled):
        Batcher().write(llama, *(writing(tell, 30, cancel) for _ in range(9)), at_once=1)
    assert len(told) == 1


def test_memory_that_runs_out_between_steps_is_a_sentence() -> None:
    """Work in turns that fills the memory is refused in words, and the next one gets its turn."""
    batcher = Batcher()

    def work(_: Callable[[], None]) -> None:
        raise MemoryError

    with pytest.raises(NotEnoughMemory, match="Ask for less at once"):
        batcher.take_turns(work)
    assert batcher.take_turns(lambda _: 1, background=True) == 1


def test_one_thread_computes_for_all(users: ThreadPoolExecutor) -> None:
    """However many ask, the work runs in one thread only."""
    batcher, names = Batcher(), set()

    def work(items: Sequence[Any]) -> Sequence[Any]:
        names.add(threading.current_thread().name)
        return items

    futures = [users.submit(batcher.submit, place, [place], work) for place in range(16)]
    assert [future.result(SECONDS) for future in futures] == [[place] for place in range(16)]
    assert names == {"atelier-compute"}
