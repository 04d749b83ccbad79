"""Rows are read in an order that the seed decides, and like lengths stand together."""

from __future__ import annotations

from itertools import pairwise

from core.training.ordering import EpochOrder, LongestFirst

LENGTHS = [(7 * place) % 50 + 1 for place in range(200)]


def padding(order: list[int], rows: int = 8) -> int:
    """Count the positions that batches of `rows` waste."""
    batches = [[LENGTHS[one] for one in order[start : start + rows]] for start in range(0, len(order), rows)]
    return sum(max(batch) * len(batch) - sum(batch) for batch in batches)


def epoch(order: EpochOrder, number: int) -> list[int]:
    """Return the rows of one epoch."""
    order.set_epoch(number)
    return list(order)


def test_every_epoch_reads_every_row_once() -> None:
    """Grouped or not, nothing is left out and nothing comes twice."""
    for grouped in (True, False):
        order = EpochOrder(LENGTHS, 8, 13, grouped=grouped)
        assert sorted(epoch(order, 0)) == sorted(epoch(order, 1)) == list(range(200))


def test_an_epoch_is_drawn_from_seed_and_number_alone() -> None:
    """A process that begins in the middle reads the same order; another epoch or seed reads another."""
    one, resumed = (EpochOrder(LENGTHS, 8, 13, grouped=True) for _ in range(2))
    orders = [epoch(one, number) for number in range(3)]
    assert epoch(resumed, 2) == orders[2]
    assert orders[0] != orders[1] != orders[2]
    assert epoch(EpochOrder(LENGTHS, 8, 14, grouped=True), 0) != orders[0]
    assert epoch(EpochOrder(LENGTHS, 8, 14, grouped=True), 0) != orders[1]


def test_grouping_saves_padding() -> None:
    """Batches of like lengths waste less than half of what a random order does."""
    grouped = epoch(EpochOrder(LENGTHS, 8, 13, grouped=True), 0)
    drawn = epoch(EpochOrder(LENGTHS, 8, 13, grouped=False), 0)
    assert padding(grouped) < padding(drawn) / 2


def test_the_longest_row_comes_first() -> None:
    """Where memory will not do, the first step says so."""
    order = EpochOrder(LENGTHS, 8, 13, grouped=True)
    assert LENGTHS[epoch(order, 0)[0]] == max(LENGTHS)


def test_evaluation_reads_from_long_to_short() -> None:
    """Each row once, none longer than the one before it."""
    order = list(LongestFirst(LENGTHS))
    assert sorted(order) == list(range(200))
    assert all(LENGTHS[one] >= LENGTHS[other] for one, other in pairwise(order))
