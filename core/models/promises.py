"""Memory that is spoken for, though nobody has it yet: caches of growing texts, models that are being loaded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Promises:
    """How many bytes of each device are spoken for, and by how many; from any thread."""

    def __init__(self) -> None:
        """Promise nothing yet."""
        self._lock = threading.Lock()
        self._bytes: Counter[str] = Counter()
        self._users: Counter[str] = Counter()

    def make(self, device: str, needed: int, free: int) -> bool:
        """Promise `needed` bytes if `free` holds them beside all earlier promises; tells whether it does.

        A promise counts whole until it ends, though part of it may be taken already: too cautious, never too bold.
        """
        with self._lock:
            if needed + self._bytes[device] > free:
                return False
            self._add(device, needed, 1)
            return True

    @contextmanager
    def kept(self, device: str, needed: int) -> Iterator[None]:
        """Promise what somebody has found room for already, until the block ends."""
        with self._lock:
            self._add(device, needed, 1)
        try:
            yield
        finally:
            self.end(device, needed)

    def end(self, device: str, needed: int) -> None:
        """Take a promise back."""
        with self._lock:
            self._add(device, -needed, -1)

    def on(self, device: str) -> tuple[int, int]:
        """Return the bytes promised on a device, and to how many."""
        with self._lock:
            return self._bytes[device], self._users[device]

    def _add(self, device: str, count: int, users: int) -> None:
        self._bytes[device] += count
        self._users[device] += users


def cache_bytes(model: Any, rows: int, tokens: int) -> int:
    """Return what the keys and values of `rows` texts of `tokens` tokens take, for a causal model of transformers."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", None) or 1  # a model without attention keeps less than this
    kept = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    numbers: int = 2 * config.num_hidden_layers * kept * width
    return numbers * int(model.dtype.itemsize) * rows * tokens
