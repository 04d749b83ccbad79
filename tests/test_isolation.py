"""The tests' own walls: nothing leaves this machine, nothing lands in the owner's home."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest

ELSEWHERE = "192.0.2.1"  # reserved for documentation: RFC 5737


@pytest.mark.parametrize("host", [ELSEWHERE, "huggingface.co"])
def test_other_hosts_are_refused(host: str) -> None:
    """A connection to another host fails at once, by address and by name."""
    with pytest.raises(OSError, match=host):
        socket.create_connection((host, 80), timeout=0.1)


def test_loopback_is_open() -> None:
    """A server on this machine can be reached."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as client,
    ):
        assert client.getpeername() == server.getsockname()


def test_home_is_temporary(atelier_home: Path) -> None:
    """Atelier's folder is the test's own, and the libraries' folders are the run's own."""
    assert Path(os.environ["ATELIER_HOME"]) == atelier_home
    assert not atelier_home.exists()
    for name in ("ATELIER_HOME", "HF_HOME", "GRADIO_TEMP_DIR", "MPLCONFIGDIR"):
        assert "atelier-tests-" in os.environ[name]


@pytest.mark.parametrize("_", [1, 2])
def test_random_state_is_the_same(_: int) -> None:
    """Every test begins with the same seed."""
    assert random.random() == pytest.approx(random.Random(20).random())
