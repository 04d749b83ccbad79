"""The libraries keep still in this process's log."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAY = """
from core.quiet import quieten
from {library}.utils import logging
log = logging.get_logger("{library}.anything")
log.warning("before")
quieten("{library}")
log.warning("afterwards")
log.error("broken")
bars = logging.is_progress_bar_enabled()
assert not bars, bars
"""


@pytest.mark.parametrize("library", ["transformers", "diffusers"])
def test_only_errors_are_heard(library: str) -> None:
    """Once it is quiet, a library says what broke, and neither warnings nor bars."""
    told = subprocess.run(
        [sys.executable, "-c", SAY.format(library=library)], capture_output=True, text=True, check=True, timeout=300
    )
    assert "before" in told.stderr
    assert "broken" in told.stderr
    assert "afterwards" not in told.stderr
