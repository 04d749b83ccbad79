"""Many arrays in one file, written one after another and read without loading the rest.

encoded.bin    float32 numbers, array after array
encoded.json   where each begins and how it is shaped; written last, so that an unfinished file counts for nothing
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from core.jobs.files import written_whole

if TYPE_CHECKING:
    import numpy as np
    import torch

BYTES = 4


class TensorWriter:
    """Writes arrays by name; the index is written when the block ends well."""

    def __init__(self, file: Path) -> None:
        """Begin `file` anew."""
        self._path = file
        index_of(file).unlink(missing_ok=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = file.open("wb")
        self._places: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._numbers = 0

    def __enter__(self) -> Self:
        """Take arrays until the block ends."""
        return self

    def add(self, name: str, tensor: Any) -> None:
        """Write a tensor of any device and precision."""
        values = tensor.detach().float().cpu().contiguous().numpy()
        self._file.write(values.tobytes())
        self._places[name] = (self._numbers, tuple(values.shape))
        self._numbers += values.size

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Say that the file is whole, unless something went wrong."""
        self._file.close()
        if error is None:
            with written_whole(index_of(self._path)) as draft:
                draft.write_text(json.dumps({"numbers": self._numbers, "places": self._places}), encoding="utf-8")


class TensorFile:
    """Reads what a TensorWriter wrote; the system keeps in memory what is read often."""

    def __init__(self, file: Path) -> None:
        """Open a whole file; see `is_whole`."""
        import numpy as np

        self._places: Mapping[str, tuple[int, tuple[int, ...]]] = _index(file)["places"]
        self._numbers: np.ndarray[Any, Any] = np.memmap(file, dtype=np.float32, mode="r")

    def get(self, name: str) -> torch.Tensor | None:
        """Return an array, or None where there is none of this name."""
        return self[name] if name in self._places else None

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return an array as a float32 tensor of its own; KeyError where there is none."""
        import torch

        begin, shape = self._places[name]
        size = math.prod(shape)
        return torch.from_numpy(self._numbers[begin : begin + size].reshape(shape).copy())


def index_of(file: Path) -> Path:
    """Return where the index of a file is."""
    return file.with_suffix(".json")


def is_whole(file: Path) -> bool:
    """Tell whether a file was written to its end, and has kept its size."""
    try:
        return file.stat().st_size == BYTES * int(_index(file)["numbers"])
    except (OSError, ValueError, KeyError):
        return False


def _index(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(index_of(file).read_text(encoding="utf-8"))
    return found
