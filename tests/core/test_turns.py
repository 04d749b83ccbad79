"""Turns to compute, in the order in which they were asked for."""

from __future__ import annotations

import threading
import time

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
    with turns:
        for place, worker in enumerate(workers, start=2):
            worker.start()
            wait_until_drawn(turns, place)
    for worker in workers:
        worker.join(SECONDS)
    assert order == list("ababab")


def test_alone_nobody_waits() -> None:
    """Giving way to nobody is nothing, and the turn is free afterwards."""
    turns = Turns()
    for _ in range(2):
        with turns:
            turns.give_way()


def wait_until_drawn(turns: Turns, count: int) -> None:
    """Wait until so many numbers were drawn."""
    end = time.monotonic() + SECONDS
    while turns._drawn < count:
        assert time.monotonic() < end
        time.sleep(0.001)
