"""Import Gradio without its stub writer, which takes about half of the import's time.

At import Gradio reads the source of some eighty component classes and renders a .pyi file for each
(`create_or_modify_pyi` in gradio/component_meta.py); there is no switch. The writer gives up on an OSError from
`inspect.getfile`, so for the length of the import that is what it gets. If a later Gradio renames its parts, the
import is merely slow again.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import Any

from core.collector import paused_collector

WRITER = "gradio.component_meta"


def import_gradio() -> None:
    """Import Gradio once, with its stub writer off and its calls home off."""
    if "gradio" in sys.modules:
        return
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "500")
    original = inspect.getfile

    def getfile(thing: Any) -> str:
        if sys._getframe(1).f_globals.get("__name__") == WRITER:  # noqa: SLF001 who asks decides
            raise OSError("no stubs wanted")
        return original(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        with paused_collector():
            import gradio  # noqa: F401
            from gradio import component_meta

        component_meta.create_or_modify_pyi = lambda *_, **__: None  # for classes made later, too
    finally:
        inspect.getfile = original
