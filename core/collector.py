"""Python's cycle collector, switched off while much is made and nothing thrown away."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Import large libraries without the collector, which would walk over all their new objects again and again.

    Of a cold start to a first answer it takes about a sixth of the time. Blocks may overlap in several threads: the
    first one to end switches it on again for all.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
