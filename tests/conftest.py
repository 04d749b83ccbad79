"""The house rules of every test: a home of its own, no other host, a seed, and plain words where something is missing.

Libraries read their folders and switches when they are imported, so these are set here, before any test module is.
"""

from __future__ import annotations

import ipaddress
import os
import platform
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.serving import Served, serve

TESTS = Path(__file__).resolve().parent
PROJECT = TESTS.parent
SEED = 20
HOME = Path(tempfile.mkdtemp(prefix="atelier-tests-"))
"""One folder for what libraries keep during this run; removed at its end."""

FORGOTTEN = (
    *("ATELIER_PASSWORD", "ATELIER_MEMORY_GB", "ATELIER_HUB_MODELS", "ATELIER_ENDPOINT_KEYS"),
    *("HOST", "PORT", "SPACE_ID"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_DATASETS_CACHE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)
"""What the machine's owner has set for other purposes."""

KEPT = {
    "ATELIER_HOME": str(HOME / "atelier"),
    "HF_HOME": str(HOME / "hf"),
    "GRADIO_TEMP_DIR": str(HOME / "gradio"),
    "TORCH_HOME": str(HOME / "torch"),
    "MPLCONFIGDIR": str(HOME / "matplotlib"),
    "XDG_CACHE_HOME": str(HOME / "cache"),
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}

TIERS = {"browser": TESTS / "browser", "starters": TESTS / "starters", "gpu": TESTS / "gpu"}
"""Marker → the folder whose tests carry it."""

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FOLDERS = ("~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
CHROMIUM_PATTERNS = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/Chromium.app/Contents/MacOS/Chromium")


def pytest_configure() -> None:
    """Move this process and its children into the temporary home and refuse other hosts."""
    for name in FORGOTTEN:
        os.environ.pop(name, None)
    os.environ.update(KEPT)
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // workers, 1)))
    sys.addaudithook(_refuse_other_hosts)


def pytest_unconfigure() -> None:
    """Remove the temporary home."""
    shutil.rmtree(HOME, ignore_errors=True)


def _refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    """Let a test reach the loopback and sockets on disk only; a hook sees what any library in this process does."""
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise OtherHostError(address[0])
    elif event == "socket.getaddrinfo" and arguments[0] and not _is_loopback(arguments[0]):
        raise OtherHostError(arguments[0])


class OtherHostError(OSError):
    """A test tried to reach another host than this one."""


def _is_loopback(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in {"", "localhost", platform.node()}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of its tier, by its folder."""
    for item in items:
        for name, folder in TIERS.items():
            if folder in item.path.parents:
                item.add_marker(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, in plain words, what this machine cannot run; where CI is set, a browser must be there."""
    if item.get_closest_marker("browser") and chromium() is None:
        reason = f"no Chromium on this machine (looked for {', '.join(CHROMIUM_NAMES)} and Playwright's own)"
        if os.environ.get("CI", "").lower() in {"", "0", "false"}:
            pytest.skip(reason)
        pytest.fail(f"{reason}, and CI must have one", pytrace=False)
    if item.get_closest_marker("gpu") and not _has_cuda():
        pytest.skip("no CUDA device on this machine")


def chromium() -> Path | None:
    """Return a Chromium that Playwright can drive: the system's, else the one Playwright has downloaded, else None."""
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return Path(found)
    folders = (os.environ.get("PLAYWRIGHT_BROWSERS_PATH"), *CHROMIUM_FOLDERS)
    for folder in (Path(name).expanduser() for name in folders if name):
        for pattern in CHROMIUM_PATTERNS:
            if browsers := sorted(folder.glob(pattern)):
                return browsers[-1]
    return None


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """Give the browser's executable; only tests marked `browser` may ask."""
    found = chromium()
    assert found is not None, "mark this test `browser`"
    return found


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give the one running app that all tests of the page and of the API share."""
    with serve(tmp_path_factory.mktemp("served") / "home") as app:
        yield app


@pytest.fixture(autouse=True)
def atelier_home(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own folder for jobs, uploads and results; it is not there until somebody makes it."""
    home = HOME / f"atelier-{uuid4().hex}"
    monkeypatch.setenv("ATELIER_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Begin each test from the same random state, in every library that is loaded by then."""
    random.seed(SEED)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(SEED)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)


@pytest.fixture(scope="session")
def built_page() -> Iterator[Any]:
    """Give the page as the app builds it, local mode; it is not served."""
    import app
    from core.settings import Settings

    atelier = app.open_atelier(Settings(home=HOME / "atelier-page"))
    yield app.build_app(atelier)
    assert atelier.jobs.shutdown(5)
