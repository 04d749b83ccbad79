"""Servers in processes of their own: started cold, asked over HTTP, weighed, and stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE = 180.0
"""Seconds until a silent server counts as broken."""


@dataclass(frozen=True)
class Server:
    """A running server: its process, its port, the moment it was started, and the seconds to its first HTTP 200."""

    process: psutil.Process
    port: int
    started: float
    first_page_seconds: float
    first_page_cpu_seconds: float
    page: str

    def get(self, path: str) -> str:
        """Return a page."""
        return _request(self.port, "GET", path)

    def ask(self, endpoint: str, body: Mapping[str, Any], version: str = "") -> list[Any]:
        """Ask an endpoint through Gradio's queue and return its outputs."""
        path = f"/gradio_api/call/{version}{endpoint}"
        event = json.loads(_request(self.port, "POST", path, json.dumps(body)))["event_id"]
        answer = _request(self.port, "GET", f"/gradio_api/call/{endpoint}/{event}")
        last = answer.strip().split("\n\n")[-1]
        if not last.startswith("event: complete"):
            raise RuntimeError(f"{endpoint} answered {last!r}")
        outputs: list[Any] = json.loads(last.partition("data: ")[2])
        return outputs

    def cpu_seconds(self) -> float:
        """Return the seconds of CPU that the process has used so far, all its threads together."""
        used = self.process.cpu_times()
        return used.user + used.system

    def resident_bytes(self) -> int:
        """Return the RSS of the process and its children."""
        return sum(one.memory_info().rss for one in (self.process, *self.process.children(recursive=True)))


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start `python *command` with {port} filled in, yield it at its first HTTP 200, and stop it with its children."""
    port = _free_port()
    filled = [part.format(port=port) for part in command]
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *filled],
            cwd=PROJECT,
            env={**_clean(), "GRADIO_SERVER_PORT": str(port), **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            page = _first_page(process, port)
            seconds = time.perf_counter() - started
            cpu = psutil.Process(process.pid).cpu_times()
            yield Server(psutil.Process(process.pid), port, started, seconds, cpu.user + cpu.system, page)
        except BaseException:  # whatever it was, the server's own last words explain it best
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace")[-4000:])
            raise
        finally:
            _stop(process)


def _clean() -> dict[str, str]:
    """Return our environment as a user has it: bytecode may be cached, nobody calls home or another host."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "HOST", "PORT", "SPACE_ID"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("GRADIO_")}
    return {**kept, "HF_HUB_OFFLINE": "1"}


def _first_page(process: subprocess.Popen[bytes], port: int) -> str:
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode} before its first page")
        try:
            return _request(port, "GET", "/")
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.01)
    raise TimeoutError(f"no page within {PATIENCE:.0f} seconds")


def _request(port: int, method: str, path: str, body: str | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"{method} {path}: {response.status} {text[:500]}")
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: Gradio's children, too."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, ending)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
