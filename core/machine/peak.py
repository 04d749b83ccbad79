"""The most memory that this process ever held."""

from __future__ import annotations

import resource
import sys


def peak_bytes(device: str) -> int:
    """Return the peak in bytes: of a GPU what PyTorch took of it, else of main memory what the process held."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
