"""Turns to compute, in the order in which they were asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

import pytest

from core.compute.turns import BACKGROUND_PATIENCE, Shares, Turns

SECONDS = 30


def test_whoever_waits_longest_is_next() -> None:
    """Two that give way after each step take their steps in turns."""
    turns, order = Turns(), []

    def work(name: str) -> None:
        with turns:
            for _ in range(3):
                order.append(name)
                turns.give_way()

    workers = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    in_this_order(turns, workers)
    assert order == list("ababab")


def test_background_work_goes_last() -> None:
    """Background work that has not waited for long computes when all others are done, though it asked first."""
    turns, order = Turns(), []

    def work(name: str) -> None:
        with turns.in_background() if name.isupper() else turns:
            for _ in range(2):
                order.append(name)
                turns.give_way()

    in_this_order(turns, [threading.Thread(target=work, args=(name,)) for name in "XaYb"])
    assert order == list("ababXYXY")


def test_background_work_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives way lets background work in once it has waited for long."""
    turns, order = Turns(), []
    monkeypatch.setattr("core.compute.turns.BACKGROUND_PATIENCE", 0.0)

    def work() -> None:
        with turns.in_background():
            order.append("background")

    worker = threading.Thread(target=work)
    with turns:
        worker.start()
        wait_until_waiting(turns, 1)
        turns.give_way()
        order.append("others")
    worker.join(SECONDS)
    assert order == ["background", "others"]


def test_background_work_may_become_urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever entered as background work goes first as soon as it says that somebody waits for it."""
    turns, order, urgent = Turns(), [], threading.Event()
    monkeypatch.setattr("core.compute.turns.BACKGROUND_PATIENCE", float("inf"))

    def work() -> None:
        with turns.in_background(lambda: not urgent.is_set()):
            order.append("work")

    worker = threading.Thread(target=work)
    with turns:
        worker.start()
        wait_until_waiting(turns, 1)
        turns.give_way()
        order.append("others")
        urgent.set()
        turns.give_way()
        order.append("others")
    worker.join(SECONDS)
    assert order == ["others", "work", "others"]


class Clock:
    """Goes on only when somebody spends time."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def steps(shares: Shares[str], clock: Clock, costs: Mapping[str, float], until: float) -> list[str]:
    """Let them step until that time, each at its cost; tells whose steps they were."""
    order = []
    while clock.now < until:
        share = shares.next()
        assert share is not None
        with share.measured():
            clock.now += costs[share.one]
        order.append(share.one)
    return order


def test_each_has_a_like_share_of_the_time() -> None:
    """Beside steps that take a hundred times as long, one takes a hundred times as many."""
    clock = Clock()
    shares: Shares[str] = Shares(clock)
    for name in ("large", "small", "other"):
        shares.join(name, background=False)
    order = steps(shares, clock, {"large": 100.0, "small": 1.0, "other": 2.0}, until=3_000)
    assert [order.count(name) for name in ("large", "small", "other")] == pytest.approx([10, 1_000, 500], rel=0.1)
    assert "large" not in order[1:100]  # it steps first, and then lets the others catch up


def test_who_comes_later_shares_from_then_on() -> None:
    """A newcomer does not get all of the time that the others had before it; who has left is asked no more."""
    clock, costs = Clock(), {"first": 1.0, "second": 1.0}
    shares: Shares[str] = Shares(clock)
    shares.join("first", background=False)
    steps(shares, clock, costs, until=50)
    shares.join("second", background=False)
    order = steps(shares, clock, costs, until=60)
    assert [order.count(name) for name in costs] == [5, 5]
    shares.keep(lambda name: name == "second")
    assert set(steps(shares, clock, costs, until=65)) == {"second"}


def test_a_table_steps_when_nobody_else_does() -> None:
    """Background steps come once in BACKGROUND_PATIENCE beside others or in a hurry, however long they take."""
    clock, cost = Clock(), BACKGROUND_PATIENCE / 8
    costs = {"visitor": cost, "table": 3 * BACKGROUND_PATIENCE}
    shares: Shares[str] = Shares(clock)
    for name in costs:
        shares.join(name, background=name == "table")
    assert shares.urgent
    order = steps(shares, clock, costs, until=7.5 * BACKGROUND_PATIENCE)
    assert order == [*["visitor"] * 8, "table", *["visitor"] * 8, "table"]
    shares.keep(lambda name: name == "table")
    assert (bool(shares), shares.urgent, shares.next(hurried=True)) == (True, False, None)
    assert steps(shares, clock, costs, until=clock.now + 9 * BACKGROUND_PATIENCE) == ["table"] * 3


def test_the_same_one_may_share_twice() -> None:
    """Who works for people and for a table has a place in each."""
    shares: Shares[str] = Shares(Clock())
    shares.join("model", background=True)
    assert shares.find(lambda name: name == "model", background=False) is None
    assert shares.find(lambda name: name == "model", background=True) == "model"


def test_alone_nobody_waits() -> None:
    """Giving way to nobody is nothing, and the turn is free afterwards."""
    turns = Turns()
    for _ in range(2):
        with turns:
            turns.give_way()


def in_this_order(turns: Turns, workers: Sequence[threading.Thread]) -> None:
    """Let them ask for their turn one after the other, and work to their end."""
    with turns:
        for place, worker in enumerate(workers, start=1):
            worker.start()
            wait_until_waiting(turns, place)
    for worker in workers:
        worker.join(SECONDS)


def wait_until_waiting(turns: Turns, count: int) -> None:
    """Wait until so many ask for a turn."""
    end = time.monotonic() + SECONDS
    while len(turns._waiting) < count:
        assert time.monotonic() < end
        time.sleep(0.001)
