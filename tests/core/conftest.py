"""A Hub on the loopback, and what the tests of its client share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.hub.client import Hub
from tests.fakes.chat_server import FakeChatServer
from tests.fakes.hub_server import FakeHub
from tests.fakes.models import cluttered_repository


@pytest.fixture
def server() -> Iterator[FakeHub]:
    """Start a Hub on the loopback."""
    with FakeHub() as running:
        yield running


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a small repository with the usual clutter."""
    return cluttered_repository(tmp_path / "model")


@pytest.fixture
def hub(server: FakeHub, tmp_path: Path) -> Hub:
    """See that server through an empty cache."""
    return Hub(endpoint=server.endpoint, cache=tmp_path / "cache")


@pytest.fixture
def chat_server() -> Iterator[FakeChatServer]:
    """Start a chat server on the loopback."""
    with FakeChatServer() as running:
        yield running
