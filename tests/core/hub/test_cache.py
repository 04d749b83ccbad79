"""What the cache answers without network, and how other programs see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import errors
from core.events import Progress
from core.hub.client import Hub
from tests.fakes.hub_server import FakeHub
from tests.fakes.models import cut_into_shards

WEIGHTS = "model.safetensors"


@pytest.fixture
def model(model: Path, server: FakeHub) -> Path:
    """Offer that repository as org/name."""
    server.add("org/name", model)
    return model


def test_offline_without_cache(server: FakeHub, tmp_path: Path) -> None:
    """Offline and never downloaded: the sentence says what to do, and nothing is asked."""
    with pytest.raises(errors.HubUnreachable, match="HF_HUB_OFFLINE"):
        Hub(server.endpoint, tmp_path / "cache", offline=True).look_up("org/name")
    assert server.requests == []


def test_offline_with_cache(server: FakeHub, hub: Hub, model: Path, tmp_path: Path) -> None:
    """Offline and downloaded: look-up, facts and download answer from the cache and say so."""
    server.add("org/name", model)
    online = hub.look_up("org/name")
    folder = hub.download(online)
    server.requests.clear()
    offline = Hub(server.endpoint, tmp_path / "cache", offline=True)
    found = offline.look_up("org/name")
    assert found.cached
    assert found.download_bytes == 0
    assert (found.commit, found.weights) == (online.commit, online.weights)
    assert offline.facts(found).parameters == 220
    assert offline.download(found) == folder
    assert server.requests == []


def test_cache_answers_when_the_hub_does_not(server: FakeHub, hub: Hub, model: Path) -> None:
    """A Hub that fails is replaced by the cache, visibly."""
    server.add("org/name", model)
    hub.download(hub.look_up("org/name"))
    server.refuse(503)
    assert hub.look_up("org/name").cached
    assert not hub.look_up("org/name").cached


def test_offline_with_half_a_model(server: FakeHub, hub: Hub, model: Path, tmp_path: Path) -> None:
    """Offline with a shard missing is not a model that could be loaded."""
    cut_into_shards(model, 2)
    server.add("org/name", model)
    folder = hub.download(hub.look_up("org/name"))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(errors.HubUnreachable, match="not completely in the cache"):
        Hub(server.endpoint, tmp_path / "cache", offline=True).look_up("org/name")


@pytest.mark.usefixtures("model")
def test_other_tools_find_it(hub: Hub) -> None:
    """The cache stays huggingface_hub's own: it scans without complaint and resolves the branch offline."""
    from huggingface_hub import hf_hub_download, scan_cache_dir

    folder = hub.download(hub.look_up("org/name"))
    scanned = scan_cache_dir(hub.cache)
    assert scanned.warnings == []
    assert {revision.commit_hash for repo in scanned.repos for revision in repo.revisions} == {folder.name}
    found = hf_hub_download("org/name", "config.json", cache_dir=hub.cache, local_files_only=True)
    assert Path(found).parent == folder


def test_files_of_another_tool_are_checked_once(hub: Hub, model: Path) -> None:
    """Weights that another program put into the cache are hashed at the first use and trusted afterwards."""
    from huggingface_hub import snapshot_download

    snapshot_download("org/name", endpoint=hub.endpoint, cache_dir=hub.cache)
    repository = hub.look_up("org/name")
    assert repository.download_bytes == 0
    first: list[Progress] = []
    folder = hub.download(repository, progress=first.append)
    assert {progress.phase for progress in first} == {"verify"}
    second: list[Progress] = []
    hub.download(repository, progress=second.append)
    assert second == []
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
