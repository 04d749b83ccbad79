"""The order in which rows are read: drawn anew each epoch from the seed alone, so that a resumed run reads on exactly.

Rows of like length stand together (and so waste no padding); with several processes, the rows of one step do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class EpochOrder:
    """A sampler for training: every row once, in an order that seed and epoch decide."""

    def __init__(self, lengths: Sequence[int], step_rows: int, seed: int, *, grouped: bool) -> None:
        """Order rows of these lengths in tokens; `step_rows` = rows of one optimiser step, of all processes together.

        `grouped` sorts within windows of many steps by length, the longest first, as transformers' own sampler does.
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
        from transformers.trainer_pt_utils import get_length_grouped_indices

        # Not seed + epoch: then epoch 1 of one seed would be epoch 0 of the next.
        drawn = torch.Generator().manual_seed(hash((self._seed, self._epoch)) & 0x7FFF_FFFF_FFFF_FFFF)
        if self._grouped:
            return iter(get_length_grouped_indices(self._lengths, self._step_rows, generator=drawn))
        return iter(torch.randperm(len(self._lengths), generator=drawn).tolist())


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
