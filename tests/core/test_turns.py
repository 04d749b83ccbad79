"""Turns to compute, in the order in which they were asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from core.turns import Turns

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
    monkeypatch.setattr("core.turns.BACKGROUND_PATIENCE", 0.0)

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
