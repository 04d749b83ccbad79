"""The order in which rows are read: drawn anew each epoch from the seed alone, so that a resumed run reads on exactly.

Rows of like length stand together (and so waste no padding); with several processes, the rows of one step do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

WINDOW_STEPS = 50
"""Steps whose rows are sorted together: enough for rows of like length, and yet another company in each epoch."""
JITTER = 0.1
"""How far a row may stray from its length while it is sorted, as a part of it."""


class EpochOrder:
    """A sampler for training: every row once, in an order that seed and epoch decide."""

    def __init__(self, lengths: Sequence[int], step_rows: int, seed: int, *, grouped: bool) -> None:
        """Order rows of these lengths in tokens; `step_rows` = rows of one optimiser step, of all processes together.

        `grouped` sorts windows of many steps by length and draws the order of the steps; the longest rows come first.
        transformers' own sampler sorts windows of a quarter of the rows at most and reads each from long to short: on a
        few hundred rows it pads a quarter more.
        """
        self._lengths, self._step_rows = list(lengths), step_rows
        self._seed, self._grouped = seed, grouped
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of `epoch`, from 0 on."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        """Give the row numbers of one epoch."""
        import torch

        # Not seed + epoch: then epoch 1 of one seed would be epoch 0 of the next.
        drawn = torch.Generator().manual_seed(hash((self._seed, self._epoch)) & 0x7FFF_FFFF_FFFF_FFFF)
        rows = torch.randperm(len(self._lengths), generator=drawn).tolist()
        return iter(self._in_groups(rows, drawn) if self._grouped else rows)

    def _in_groups(self, rows: list[int], drawn: Any) -> list[int]:
        import torch

        near = (1 + JITTER * (2 * torch.rand(len(rows), generator=drawn) - 1)).tolist()
        window, size = WINDOW_STEPS * self._step_rows, self._step_rows
        steps: list[list[int]] = []
        for start in range(0, len(rows), window):
            ordered = sorted(rows[start : start + window], key=lambda row: -self._lengths[row] * near[row])
            steps += [ordered[first : first + size] for first in range(0, len(ordered), size)]
        rest = steps.pop() if len(steps[-1]) < size else []  # a short step must be the last: the others would shift
        shuffled = [steps[place] for place in torch.randperm(len(steps), generator=drawn).tolist()]
        return _longest_first([row for step in [*shuffled, rest] for row in step], self._lengths, size)


def _longest_first(rows: list[int], lengths: Sequence[int], size: int) -> list[int]:
    """Let the step with the longest row change places with the first, and that row with the first of all."""
    place = max(range(len(rows)), key=lambda one: lengths[rows[one]])
    start = place - place % size
    if start and start + size <= len(rows):
        rows[:size], rows[start : start + size] = rows[start : start + size], rows[:size]
        place -= start
    rows[0], rows[place] = rows[place], rows[0]
    return rows


class LongestFirst:
    """A sampler for evaluation: the longest rows first, so that batches are full and memory runs out at once."""

    def __init__(self, lengths: Sequence[int]) -> None:
        """Sort by `lengths`, rows of the same length in their order."""
        self.order = sorted(range(len(lengths)), key=lambda row: -lengths[row])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        """Give the row numbers."""
        return iter(self.order)
