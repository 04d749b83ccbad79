"""Give memory back to the system once a model is gone."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
import traceback
from collections.abc import Callable

RECHECK_SECONDS = 0.01
"""How long a check whether a model is gone waits before it collects again."""


def return_memory_to_system() -> None:
    """Collect garbage, then hand free pages back: glibc's heap, and CUDA's cache where CUDA is in use."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim_heap()


def trim_heap() -> None:
    """Hand the free pages of glibc's heap back to the system, those between what is in use, too; a few milliseconds."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # musl has none
            trim(0)


def is_gone(model: Callable[[], object | None], seconds: float) -> bool:
    """Collect until the model is gone, at most `seconds`: a thread that just returned it may need a moment to leave."""
    until = time.monotonic() + seconds
    while model() is not None:
        gc.collect()
        if time.monotonic() > until:
            break
        time.sleep(RECHECK_SECONDS)
    return_memory_to_system()
    return model() is None


def let_go(problem: BaseException | None) -> None:
    """Drop what the frames of a failure hold: a half-loaded model must not live as long as its error."""
    while problem is not None:
        traceback.clear_frames(problem.__traceback__)
        problem = problem.__cause__ or problem.__context__
