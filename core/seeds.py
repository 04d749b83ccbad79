"""Which seed a result was drawn with."""

from __future__ import annotations

import secrets

LARGEST_SEED = 2**31 - 1


def drawn(seed: int) -> int:
    """Return the seed itself, or a fresh one for -1, so that the result can name what it was drawn with."""
    return seed if seed >= 0 else secrets.randbelow(LARGEST_SEED)
