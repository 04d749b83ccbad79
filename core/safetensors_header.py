"""What a safetensors file says of itself, read without loading it (format: 8 bytes of length, then JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import NotAModel

LARGEST_HEADER = 100_000_000
"""The format's own limit, in bytes."""


def read_header(path: Path) -> dict[str, Any]:
    """Return {tensor name: {dtype, shape, data_offsets}}; raises NotAModel if the file is damaged."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > LARGEST_HEADER:
                raise ValueError(length)
            header: dict[str, Any] = json.loads(file.read(length))
    except (OSError, ValueError) as problem:
        raise NotAModel("error.damaged_weights", file=path.name) from problem
    header.pop("__metadata__", None)
    end = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    if path.stat().st_size < end:
        raise NotAModel("error.damaged_weights", file=path.name)
    return header


def count_parameters(paths: Iterable[Path]) -> int:
    """Return the number of values in all tensors of these files."""
    return sum(math.prod(tensor["shape"]) for path in paths for tensor in read_header(path).values())
