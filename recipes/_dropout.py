"""Dropout whose random bytes cost little: on a CPU, drawing them took a fifth of a step of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

LEVELS = 256
"""A random byte decides about each value, so a share is rounded to a 256th."""


@contextmanager
def cheap_dropout(seed: int) -> Iterator[None]:
    """Let every dropout layer on a CPU draw bytes of SFC64 in place of torch's `bernoulli_`.

    Measured on two cores with the stories starter's shape, (8, 512) tokens a step: 1.27 s a step beside 1.62 s.
    """
    random, plain = np.random.Generator(np.random.SFC64(seed)), torch.nn.functional.dropout

    def dropout(values: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:  # noqa: FBT001, FBT002 torch's own signature
        if not training or not p or values.device.type != "cpu":
            return plain(values, p, training, inplace)
        cut = round(p * LEVELS)
        drawn = torch.frombuffer(bytearray(random.bytes(values.numel())), dtype=torch.uint8)
        kept = (drawn >= cut).view(values.shape)
        return values * kept.to(values.dtype).mul_(LEVELS / (LEVELS - cut))

    torch.nn.functional.dropout = dropout
    try:
        yield
    finally:
        torch.nn.functional.dropout = plain
