"""Give memory back to the system once a model is gone."""

from __future__ import annotations

import ctypes
import gc
import sys


def return_memory_to_system() -> None:
    """Collect garbage, then hand free pages back: glibc's heap, and CUDA's cache where CUDA is in use."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # musl has none
            trim(0)
