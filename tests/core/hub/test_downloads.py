"""Downloads: what is fetched, what is continued, what is refused; against a real HTTP server on the loopback."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file

from core import errors
from core.events import CancelToken, Progress
from core.hub import downloads
from core.hub.client import Hub
from tests.fakes.hub_server import FakeHub
from tests.fakes.models import cluttered_repository, tiny_bert

WEIGHTS = "model.safetensors"


class Usage(NamedTuple):
    """What shutil.disk_usage returns."""

    total: int
    used: int
    free: int


@pytest.fixture
def model(tmp_path: Path, server: FakeHub) -> Path:
    """Offer org/name: 3 MB of weights, a configuration, and things that loading does not need."""
    folder = cluttered_repository(tmp_path / "model", numbers=750_000)
    server.add("org/name", folder)
    return folder


@pytest.fixture
def hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Let attempts follow each other, and reports every piece, without waiting."""
    monkeypatch.setattr(downloads, "REPORT_EVERY", 0.0)
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0, 0.0))
    return hub


def names_in(folder: Path) -> set[str]:
    """List a snapshot."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def partials(hub: Hub) -> list[Path]:
    """List what waits to be continued."""
    return sorted(hub.cache.glob("*/blobs/*.incomplete"))


def stopping_at(count: int, cancel: CancelToken, phase: str = "download") -> Callable[[Progress], None]:
    """Return a listener that asks to stop once `count` bytes of the phase have arrived."""

    def listen(progress: Progress) -> None:
        if progress.phase == phase and progress.done >= count:
            cancel.cancel()

    return listen


def test_download(hub: Hub, model: Path) -> None:
    """A download brings what loading needs and nothing else, byte for byte."""
    repository = hub.look_up("org/name")
    folder = hub.download(repository)
    assert names_in(folder) == {"config.json", "tokenizer.json", "vocab.txt", WEIGHTS}
    assert folder.name == repository.commit
    assert all((folder / name).read_bytes() == (model / name).read_bytes() for name in names_in(folder))
    assert hub.look_up("org/name").download_bytes == 0


def test_second_download_asks_nothing(hub: Hub, model: Path, server: FakeHub) -> None:
    """What is in the cache is neither asked for nor hashed again."""
    repository = hub.look_up("org/name")
    hub.download(repository)
    server.requests.clear()
    heard: list[Progress] = []
    assert (hub.download(repository, progress=heard.append) / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
    assert server.requests == []
    assert heard == []


@pytest.mark.usefixtures("model")
def test_progress(hub: Hub) -> None:
    """Progress counts bytes over all files up to the total, then the bytes being checked."""
    repository = hub.look_up("org/name")
    heard: list[Progress] = []
    hub.download(repository, progress=heard.append)
    fetched = [progress for progress in heard if progress.phase == "download"]
    assert [progress.done for progress in fetched] == sorted(progress.done for progress in fetched)
    assert len(fetched) > 3
    assert fetched[-1].done == fetched[-1].total == repository.size_bytes == repository.download_bytes
    assert fetched[-1].rate > 0
    verified = [progress for progress in heard if progress.phase == "verify"]
    assert verified[-1].done == verified[-1].total == repository.weights[0].size_bytes


def test_continues_after_a_cut(hub: Hub, model: Path, server: FakeHub) -> None:
    """A connection that breaks is continued from the last byte by a Range request, within one call."""
    server.cut(WEIGHTS, after=1_000_000)
    folder = hub.download(hub.look_up("org/name"))
    assert [request.range for request in server.asked("GET", WEIGHTS)] == [None, "bytes=1000000-"]
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def test_continues_in_a_later_call(hub: Hub, model: Path, server: FakeHub) -> None:
    """A stopped download stops in the middle; what came is kept, counted as present, and continued by the next one."""
    repository = hub.look_up("org/name")
    cancel = CancelToken()
    with pytest.raises(errors.Cancelled):
        hub.download(repository, progress=stopping_at(500_000, cancel), cancel=cancel)
    kept = partials(hub)[0].stat().st_size
    assert 500_000 < kept < 1_000_000
    assert hub.look_up("org/name").download_bytes == repository.weights[0].size_bytes - kept
    server.requests.clear()
    folder = hub.download(repository)
    assert [request.range for request in server.asked("GET", WEIGHTS)] == [f"bytes={kept}-"]
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
    assert partials(hub) == []


def test_gives_up_when_nothing_comes(hub: Hub, model: Path, server: FakeHub) -> None:
    """A connection that always breaks before a new byte ends in HubUnreachable, and the part is kept."""
    server.cut(WEIGHTS, after=1_000_000)
    server.cut(WEIGHTS, after=0, times=None)
    repository = hub.look_up("org/name")
    with pytest.raises(errors.HubUnreachable, match="what was downloaded is kept"):
        hub.download(repository)
    assert partials(hub)[0].stat().st_size == 1_000_000
    server.recover()
    assert (hub.download(repository) / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def test_passing_refusals_are_retried(hub: Hub, model: Path, server: FakeHub) -> None:
    """A server that is busy for a moment does not end a download."""
    repository = hub.look_up("org/name")
    for name in ("config.json", "tokenizer.json", "vocab.txt"):
        hub._api.hf_hub_download("org/name", name, revision=repository.commit, cache_dir=hub.cache)
    server.refuse(503, times=2)
    assert (hub.download(repository) / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def test_server_without_range(hub: Hub, model: Path, server: FakeHub) -> None:
    """A server that ignores Range sends everything again; the file is whole and the count is honest."""
    repository = hub.look_up("org/name")
    cancel = CancelToken()
    with pytest.raises(errors.Cancelled):
        hub.download(repository, progress=stopping_at(500_000, cancel), cancel=cancel)
    server.ignore_range(WEIGHTS)
    heard: list[Progress] = []
    folder = hub.download(repository, progress=heard.append)
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
    fetched = [progress for progress in heard if progress.phase == "download"]
    assert fetched[-1].done == fetched[-1].total == repository.weights[0].size_bytes


def test_damaged_content(hub: Hub, model: Path, server: FakeHub) -> None:
    """Content whose hash differs is refused and removed; the next attempt begins clean."""
    server.corrupt(WEIGHTS, times=1)
    repository = hub.look_up("org/name")
    with pytest.raises(errors.DamagedDownload, match=WEIGHTS):
        hub.download(repository)
    assert not list(hub.cache.glob(f"*/blobs/{repository.weights[0].sha256}*"))
    assert not list(hub.cache.glob(f"*/snapshots/*/{WEIGHTS}"))
    assert (hub.download(repository) / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


@pytest.mark.parametrize("spoil", [lambda old: old[:-1], lambda old: old[:-1] + bytes([old[-1] ^ 1])])
def test_damage_in_the_cache(hub: Hub, model: Path, spoil: Callable[[bytes], bytes]) -> None:
    """A weight file that changed on this disk is noticed, removed, and fetched again next time."""
    repository = hub.look_up("org/name")
    path = hub.download(repository) / WEIGHTS
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(errors.DamagedDownload):
        hub.download(repository)
    assert not path.exists()
    assert (hub.download(repository) / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


@pytest.mark.usefixtures("model")
def test_disk_full(hub: Hub, server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is refused with the numbers before anything is fetched; the margin counts."""
    repository = hub.look_up("org/name")
    server.requests.clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, repository.size_bytes + 1_000))
    with pytest.raises(errors.DiskFull, match=r"3\.3 MB are needed .*3\.0 MB are free"):
        hub.download(repository)
    assert server.requests == []


@pytest.mark.usefixtures("model")
def test_full_disk_does_not_matter_when_all_is_here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in the cache is usable on a full disk."""
    repository = hub.look_up("org/name")
    folder = hub.download(repository)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    assert hub.download(repository) == folder


def test_cancel_while_the_server_sends_nothing_more(hub: Hub, model: Path, server: FakeHub) -> None:
    """A stop request is heard between two pieces, what came is kept, and the next call continues there."""
    hold = server.hold(WEIGHTS, after=200_000)
    repository = hub.look_up("org/name")
    cancel, arrived = CancelToken(), threading.Event()
    outcome: list[BaseException] = []

    def listen(progress: Progress) -> None:
        if progress.done > 0:
            arrived.set()

    def work() -> None:
        try:
            hub.download(repository, progress=listen, cancel=cancel)
        except errors.Cancelled as stopped:
            outcome.append(stopped)

    thread = threading.Thread(target=work)
    thread.start()
    assert arrived.wait(20)
    cancel.cancel()
    hold.set()
    thread.join(20)
    assert [type(stopped) for stopped in outcome] == [errors.Cancelled]
    server.recover()
    assert (hub.download(repository) / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


@pytest.mark.usefixtures("model")
def test_cancel_while_checking(hub: Hub) -> None:
    """A stop request is heard while a hash is computed; the bytes are kept."""
    repository = hub.look_up("org/name")
    cancel = CancelToken()
    with pytest.raises(errors.Cancelled):
        hub.download(repository, progress=stopping_at(repository.size_bytes, cancel), cancel=cancel)
    assert partials(hub)[0].stat().st_size == repository.weights[0].size_bytes
    assert (hub.download(repository) / WEIGHTS).is_file()


def test_two_at_once_fetch_once(hub: Hub, model: Path, server: FakeHub) -> None:
    """Two threads that want the same model fetch its weights once, and both get it."""
    repository = hub.look_up("org/name")
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(hub.download(repository))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(folders)) == 1
    assert len(folders) == 2
    assert len(server.asked("GET", WEIGHTS)) == 1
    assert (folders[0] / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def test_pinned_to_the_commit(hub: Hub, model: Path, server: FakeHub) -> None:
    """A download fetches the commit that was looked up, and a branch that moved is a new look-up."""
    first = hub.look_up("org/name")
    hub.download(first)
    (model / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    server.add("org/name", model)
    second = hub.look_up("org/name")
    assert second.commit != first.commit
    assert 0 < second.download_bytes < 1_000
    assert json.loads((hub.download(second) / "config.json").read_text())["model_type"] == "roberta"
    assert json.loads((hub.download(first) / "config.json").read_text())["model_type"] == "bert"
    assert not any("/resolve/main/" in request.path for request in server.requests)


def test_a_real_model_loads(hub: Hub, server: FakeHub, tmp_path: Path) -> None:
    """What was downloaded is what transformers loads: same weights as at the source."""
    source = tiny_bert(tmp_path / "tiny")
    server.add("org/tiny", source)
    repository = hub.look_up("org/tiny")
    folder = hub.download(repository)
    ours, theirs = load_file(folder / WEIGHTS), load_file(source / WEIGHTS)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert hub.facts(repository).parameters == sum(tensor.size for tensor in theirs.values())
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    assert model.config.id2label == {0: "NEGATIVE", 1: "POSITIVE"}
    assert transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)("good film")["input_ids"]
