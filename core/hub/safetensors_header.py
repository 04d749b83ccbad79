"""What a safetensors file says of itself, read without loading it (format: 8 bytes of length, then JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import NotAModel

PREFIX_BYTES = 8
LARGEST_HEADER = 100_000_000
"""The format's own limit, in bytes."""
INDEX_TYPES = frozenset({"I64", "BOOL"})
"""Of these are tables of positions and masks, which old checkpoints carry along; no parameter is."""


def read_header(path: Path) -> dict[str, Any]:
    """Return {tensor name: {dtype, shape, data_offsets}}; raises NotAModel if the file is damaged."""
    try:
        with path.open("rb") as file:
            header, start = _read(file)
        end = start + max((_checked_end(tensor) for tensor in header.values()), default=0)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as problem:
        raise NotAModel("error.damaged_weights", file=path.name) from problem
    if path.stat().st_size < end:
        raise NotAModel("error.damaged_weights", file=path.name)
    return header


def _read(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the header without its metadata, and where the tensors begin."""
    prefix = file.read(PREFIX_BYTES)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < PREFIX_BYTES or length > LARGEST_HEADER:
        raise ValueError(length)
    header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, len(prefix) + length


def _checked_end(tensor: dict[str, Any]) -> int:
    """Return where a tensor ends; raises what JSON of another shape provokes."""
    math.prod(map(int, tensor["shape"]))
    return int(tensor["data_offsets"][1])


def count_parameters(paths: Iterable[Path]) -> int:
    """Return the number of parameters in all tensors of these files."""
    tensors = (tensor for path in paths for tensor in read_header(path).values())
    return sum(math.prod(tensor["shape"]) for tensor in tensors if tensor.get("dtype") not in INDEX_TYPES)
