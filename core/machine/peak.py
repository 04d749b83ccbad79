"""The most memory that this process ever held."""

from __future__ import annotations

import sys

from core.machine.memory import Roots, parse_fields, read, resident_bytes


def peak_bytes(device: str) -> int:
    """Return the peak in bytes: of a GPU ("cuda", "cuda:1") what PyTorch took of it, else of main memory."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    return peak_resident_bytes()


def peak_resident_bytes(roots: Roots | None = None) -> int:
    """Return the most bytes of main memory that this process held.

    Linux: not ru_maxrss, which a process takes over from the one that started it (fs/exec.c, exec_mmap): a worker would
    seem to have needed whatever its server held.
    """
    known = parse_fields(read((roots or Roots()).proc / "self" / "status")).get("VmHWM")
    if known:
        return known
    try:
        import resource
    except ImportError:  # Windows
        return resident_bytes()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
