"""Look-ups and facts, against a real HTTP server on the loopback."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core import errors
from core.events import CancelToken
from core.hub.client import Hub
from tests.fakes.hub_server import FakeHub
from tests.fakes.models import cluttered_repository, cut_into_shards


def test_look_up(server: FakeHub, hub: Hub, model: Path) -> None:
    """A look-up names the commit, the files with sizes and hashes, and what would be downloaded."""
    commit = server.add("org/name", model, pipeline_tag="text-classification", tags=["license:mit"])
    found = hub.look_up("org/name")
    assert (found.commit, found.revision, found.cached, found.gated) == (commit, "main", False, False)
    assert (found.pipeline_tag, found.library, found.licence) == ("text-classification", "transformers", "mit")
    assert [file.name for file in found.weights] == ["model.safetensors"]
    content = (model / "model.safetensors").read_bytes()
    assert (found.weights[0].size_bytes, found.weights[0].sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert {file.name for file in found.needed} == {"config.json", "tokenizer.json", "vocab.txt", "model.safetensors"}
    assert found.download_bytes == found.size_bytes == sum((model / file.name).stat().st_size for file in found.needed)


def test_look_up_of_a_tag(server: FakeHub, hub: Hub, model: Path) -> None:
    """A look-up at a tag or a commit answers for that one."""
    server.add("org/name", model)
    commit = server.add("org/name", model, revision="v1.0")
    assert hub.look_up("org/name", "v1.0").commit == commit
    assert hub.look_up("org/name", commit).commit == commit


@pytest.mark.parametrize("description", [{"tags": ["custom_code"]}, {"config": {"auto_map": {"AutoModel": "x.Y"}}}])
def test_remote_code_is_told(server: FakeHub, hub: Hub, model: Path, description: dict[str, Any]) -> None:
    """A repository with code of its own says so."""
    server.add("org/name", model, **description)
    assert hub.look_up("org/name").has_remote_code


def test_facts_cost_no_weights(server: FakeHub, hub: Hub, model: Path) -> None:
    """Facts come from the headers by a range request and from config.json; the weights stay where they are."""
    server.add("org/big", cluttered_repository(model.parent / "big", numbers=500_000))
    repository = hub.look_up("org/big")
    facts = hub.facts(repository)
    assert (facts.parameters, facts.parameters_by_dtype) == (500_020, {"F32": 500_000, "F16": 20})
    assert facts.config["model_type"] == "bert"
    assert facts.weight_bytes == repository.weights[0].size_bytes
    assert {request.range for request in server.asked("GET", "model.safetensors")} == {"bytes=0-100000"}
    assert not any("/resolve/main/" in request.path for request in server.requests)
    assert hub.look_up("org/big").download_bytes > facts.weight_bytes


def test_facts_of_shards(server: FakeHub, hub: Hub, model: Path) -> None:
    """Facts of a sharded model are the sum over its shards."""
    cut_into_shards(model, 3)
    server.add("org/name", model)
    assert hub.facts(hub.look_up("org/name")).parameters == 6


def test_facts_leave_tables_of_positions_out(server: FakeHub, hub: Hub, model: Path) -> None:
    """A table of positions in the header is no parameter."""
    tensors = {"weight": np.ones(6, np.float32), "position_ids": np.arange(512)}
    save_file(tensors, model / "model.safetensors")
    server.add("org/name", model)
    facts = hub.facts(hub.look_up("org/name"))
    assert (facts.parameters, facts.parameters_by_dtype) == (6, {"F32": 6})


def test_facts_of_damaged_weights(server: FakeHub, hub: Hub, model: Path) -> None:
    """A header that is none raises NotAModel."""
    (model / "model.safetensors").write_bytes(b"\xff" * 100)
    server.add("org/name", model)
    with pytest.raises(errors.NotAModel, match="no valid safetensors"):
        hub.facts(hub.look_up("org/name"))


def test_facts_of_a_broken_configuration(server: FakeHub, hub: Hub, model: Path) -> None:
    """A config.json that is no JSON object raises NotAModel with its name."""
    (model / "config.json").write_text("[1, 2")
    server.add("org/name", model)
    with pytest.raises(errors.NotAModel, match=r"config\.json"):
        hub.facts(hub.look_up("org/name"))


def test_only_pickles(server: FakeHub, hub: Hub, model: Path) -> None:
    """A repository with pickled weights only is refused by name, with a way out."""
    (model / "model.safetensors").unlink()
    (model / "training_args.bin").write_bytes(b"x")
    server.add("org/name", model)
    with pytest.raises(errors.UnsafeWeights, match=r"pytorch_model\.bin\).*safetensors/convert"):
        hub.look_up("org/name")


def test_missing_shards(server: FakeHub, hub: Hub, model: Path) -> None:
    """A repository that lacks a shard is refused when it is looked up, before anything is downloaded."""
    cut_into_shards(model, 3)
    (model / "model-00002-of-00003.safetensors").unlink()
    server.add("org/name", model)
    with pytest.raises(errors.NotAModel, match=r"org/name.*model-00001-of-00003\.safetensors, model-00003"):
        hub.look_up("org/name")
    assert not any("/resolve/" in request.path for request in server.requests)


def test_no_weights(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    """A repository without weights is no model."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "README.md").write_text("hello")
    server.add("org/name", tmp_path / "words")
    with pytest.raises(errors.NotAModel, match=r"README\.md"):
        hub.look_up("org/name")


def test_cancelled_before_it_begins(server: FakeHub, hub: Hub) -> None:
    """A look-up that was cancelled asks nothing."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(errors.Cancelled):
        hub.look_up("org/name", cancel=cancel)
    assert server.requests == []


def test_no_other_host(server: FakeHub, hub: Hub, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole life cycle contacts the given endpoint and nobody else."""
    contacted = set()
    connect = socket.socket.connect

    def watched(self: socket.socket, address: tuple[str, int]) -> None:
        contacted.add(address[1])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    server.add("org/name", model)
    repository = hub.look_up("org/name")
    hub.facts(repository)
    hub.download(repository)
    assert contacted == {server.port}


def test_import_is_light() -> None:
    """Importing the module loads neither torch nor huggingface_hub."""
    check = "import sys, core.hub.client; print({'torch', 'huggingface_hub', 'httpx2'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
