"""Where main has only pickles: the safetensors that the Hub's bot offers, against a real HTTP server."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core import errors
from core.hub.client import Hub
from core.hub.conversion import BOT, TITLE
from tests.fakes.hub_server import FakeHub

Offer = Callable[..., str]


@pytest.fixture
def offer(server: FakeHub, model: Path) -> Offer:
    """Return how to serve a repository of pickles with a pull request that holds safetensors; returns its commit."""
    pickled = model.parent / "pickled"
    shutil.copytree(model, pickled)
    (pickled / "model.safetensors").unlink()
    server.add("org/old", pickled)

    def request_pull(number: int = 7, title: str = TITLE, author: str = BOT, pickle: bytes = b"clutter") -> str:
        folder = model.parent / f"pull{number}"
        shutil.copytree(model, folder)
        (folder / "pytorch_model.bin").write_bytes(pickle)
        return server.request_pull("org/old", folder, number, title, author)

    return request_pull


def test_the_conversion_is_found_and_downloaded(hub: Hub, offer: Offer, model: Path) -> None:
    """A repository of pickles is loaded from the pull request that converts them, which is named."""
    commit = offer()
    found = hub.look_up("org/old")
    assert (found.commit, found.revision, found.converted) == (commit, "refs/pr/7", True)
    folder = hub.download(found)
    assert (folder / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert not (folder / "pytorch_model.bin").exists()


def test_the_conversion_is_found_again_offline(hub: Hub, offer: Offer) -> None:
    """Without network the name alone means the conversion that was downloaded."""
    commit = offer()
    hub.download(hub.look_up("org/old"))
    found = Hub(cache=hub.cache, offline=True).look_up("org/old")
    assert (found.commit, found.revision, found.converted, found.cached) == (commit, "refs/pr/7", True, True)


@pytest.mark.parametrize(
    "other",
    [{"author": "somebody"}, {"title": "Better weights"}, {"pickle": b"weights of another day"}],
    ids=["author", "title", "weights"],
)
def test_nothing_else_is_taken_for_it(hub: Hub, offer: Offer, other: dict[str, str | bytes]) -> None:
    """A stranger's pull request, another one of the bot's, and one of older weights are not the conversion."""
    offer(**other)
    with pytest.raises(errors.UnsafeWeights, match=r"org/old has only pickled weights"):
        hub.look_up("org/old")


def test_the_newest_that_fits_is_taken(hub: Hub, offer: Offer) -> None:
    """Of the bot's pull requests the one that converts today's weights counts."""
    offer(number=3, pickle=b"weights of another day")
    commit = offer(number=4)
    assert hub.look_up("org/old").commit == commit


def test_a_revision_is_taken_at_its_word(hub: Hub, offer: Offer) -> None:
    """Who names a revision gets that one or nothing."""
    offer()
    with pytest.raises(errors.UnsafeWeights):
        hub.look_up("org/old", "main")


def test_safetensors_need_no_conversion(server: FakeHub, hub: Hub, model: Path) -> None:
    """Nobody asks for pull requests where main has what is needed."""
    server.add("org/name", model)
    assert not hub.look_up("org/name").converted
    assert not any("/discussions" in request.path for request in server.requests)
