"""The real app in a process of its own: started with a command line, asked over HTTP, ended by SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 300
END_SECONDS = 30


@dataclass(frozen=True)
class Served:
    """One running app: where it listens, what it keeps, and what it wrote to its terminal."""

    address: str
    home: Path
    log: Path

    def logged(self) -> str:
        """Return all that the app has written so far."""
        return self.log.read_text(encoding="utf-8")

    def borrowers(self) -> int:
        """Return how many requests hold a model."""
        answer = httpx.post(f"{self.address}/gradio_api/run/models_ledger", json={"data": []}, timeout=60).json()
        return sum(row["borrowed"] for row in answer["data"][1]["models"])


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until a condition on the server is met; fails if it never is."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def serve(home: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Run `python app.py` on a free port until the block ends; fails if it does not start, or does not end."""
    address, log = f"http://127.0.0.1:{(port := _free_port())}", home.with_suffix(".log")
    command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), "--home", str(home), *arguments]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=_environment(home, environment), stdout=file, stderr=subprocess.STDOUT
        )
    try:
        served = Served(address, home, log)
        _wait_until_it_answers(process, served)
        yield served
    finally:
        _end(process)


def run_to_its_end(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run `python app.py` where it shall refuse to start, and return its status and its words."""
    command = [sys.executable, "app.py", "--home", str(home), *arguments]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=_environment(home, None),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def _environment(home: Path, more: Mapping[str, str] | None) -> dict[str, str]:
    """Let Gradio's files lie in the app's own home, as they do for a user."""
    inherited = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    return {**inherited, "ATELIER_HOME": str(home), "PYTHONUNBUFFERED": "1", **(more or {})}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(process: subprocess.Popen[bytes], served: Served) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the app ended with {process.returncode}:\n{served.logged()}")
        try:
            if httpx.get(served.address, timeout=10).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the app did not answer within {START_SECONDS} s:\n{served.logged()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"the app did not end within {END_SECONDS} s of SIGTERM") from None
