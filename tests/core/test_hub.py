"""Look-ups, facts and errors of the Hub, against a real HTTP server on the loopback."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from core import errors
from core.events import CancelToken
from core.hub import Hub
from tests.fakes.hub_server import FakeHub

TOKEN = "hf_verysecretindeed"  # noqa: S105 the fake's own
WEIGHTS = {"layer.weight": numpy.ones((10, 20), numpy.float32), "layer.bias": numpy.ones((20,), numpy.float16)}


@pytest.fixture
def server() -> Iterator[FakeHub]:
    """Start a Hub on the loopback."""
    with FakeHub(tokens=(TOKEN,)) as running:
        yield running


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a repository with the usual clutter beside what loading needs."""
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    save_file(WEIGHTS, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "vocab.txt").write_text("a\nb\n")
    for name in (
        "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "onnx/model.onnx", "modeling_x.py", "README.md",
        "pytorch_model.bin.index.json", "trainer_state.json", "onnx/config.json", "model.fp16.safetensors",
    ):
        (folder / name).write_bytes(b"clutter")
    return folder


@pytest.fixture
def hub(server: FakeHub, tmp_path: Path) -> Hub:
    """See that server through an empty cache."""
    return Hub(endpoint=server.endpoint, cache=tmp_path / "cache")


def told(error: BaseException) -> str:
    """Return everything that a log would show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


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
def test_remote_code_is_told(server: FakeHub, hub: Hub, model: Path, description: dict[str, object]) -> None:
    """A repository with code of its own says so."""
    server.add("org/name", model, **description)
    assert hub.look_up("org/name").has_remote_code


def test_facts_cost_no_weights(server: FakeHub, hub: Hub, model: Path) -> None:
    """Facts come from the headers by a range request and from config.json; the weights stay where they are."""
    save_file({"big": numpy.ones((500, 1000), numpy.float32)} | WEIGHTS, model / "model.safetensors")
    server.add("org/name", model)
    repository = hub.look_up("org/name")
    facts = hub.facts(repository)
    assert (facts.parameters, facts.parameters_by_dtype) == (500_220, {"F32": 500_200, "F16": 20})
    assert facts.config["model_type"] == "bert"
    assert facts.weight_bytes == (model / "model.safetensors").stat().st_size
    assert {request.range for request in server.asked("GET", "model.safetensors")} == {"bytes=0-100000"}
    assert hub.look_up("org/name").download_bytes > facts.weight_bytes


def test_facts_of_shards(server: FakeHub, hub: Hub, model: Path) -> None:
    """Facts of a sharded model are the sum over its shards."""
    (model / "model.safetensors").unlink()
    for index in (1, 2, 3):
        save_file({f"part{index}": numpy.ones(index, numpy.float32)}, model / f"model-0000{index}-of-00003.safetensors")
    server.add("org/name", model)
    assert hub.facts(hub.look_up("org/name")).parameters == 6


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


def test_no_weights(server: FakeHub, hub: Hub, tmp_path: Path) -> None:
    """A repository without weights is no model."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "README.md").write_text("hello")
    server.add("org/name", tmp_path / "words")
    with pytest.raises(errors.NotAModel, match=r"README\.md"):
        hub.look_up("org/name")


@pytest.mark.parametrize("repo_id", ["no/slashes/like/this", "", "a b", "../../etc/passwd", "x" * 200, "-a", "a..b", "hé"])
def test_nonsense_costs_no_request(server: FakeHub, hub: Hub, repo_id: str) -> None:
    """A name that cannot exist is refused before anything is asked."""
    with pytest.raises(errors.InvalidInput, match="owner/name"):
        hub.look_up(repo_id)
    assert server.requests == []


@pytest.mark.parametrize("revision", ["../main", "a b", "/etc", "x" * 300, "a\nb"])
def test_nonsense_revision_costs_no_request(server: FakeHub, hub: Hub, revision: str) -> None:
    """A revision that cannot exist, or would leave the cache, is refused before anything is asked."""
    with pytest.raises(errors.InvalidInput, match="cannot be a revision"):
        hub.look_up("org/name", revision)
    assert server.requests == []


def test_missing_repository(hub: Hub) -> None:
    """A repository that is not there raises HubMissing with its name."""
    with pytest.raises(errors.HubMissing, match="org/nothing"):
        hub.look_up("org/nothing")


def test_private_repository(server: FakeHub, hub: Hub, model: Path, tmp_path: Path) -> None:
    """A private repository looks missing without a token and opens with the right one."""
    server.add("org/secret", model, private=True)
    with pytest.raises(errors.HubMissing, match="HF_TOKEN"):
        hub.look_up("org/secret")
    server.allowed.add(TOKEN)
    assert Hub(server.endpoint, tmp_path / "cache", TOKEN).look_up("org/secret").weights


def test_missing_revision(server: FakeHub, hub: Hub, model: Path) -> None:
    """A revision that is not there raises HubMissing with its name."""
    server.add("org/name", model)
    with pytest.raises(errors.HubMissing, match="v9"):
        hub.look_up("org/name", "v9")


def test_gated_without_token(server: FakeHub, hub: Hub, model: Path) -> None:
    """A gated repository can be looked up; its content asks for the licence, then for a token."""
    server.add("org/name", model, gated=True)
    repository = hub.look_up("org/name")
    assert repository.gated == "manual"
    with pytest.raises(errors.HubGated, match=r"licence at https://huggingface\.co/org/name, then set HF_TOKEN"):
        hub.facts(repository)
    with pytest.raises(errors.HubGated, match=r"licence at https://huggingface\.co/org/name, then set HF_TOKEN"):
        hub.download(repository)


def test_gated_with_a_token_without_access(server: FakeHub, model: Path, tmp_path: Path) -> None:
    """A token without access to a gated repository gets another sentence, and access once it is granted."""
    server.add("org/name", model, gated=True)
    hub = Hub(server.endpoint, tmp_path / "cache", TOKEN)
    with pytest.raises(errors.HubGated, match="your token has no access"):
        hub.download(hub.look_up("org/name"))
    server.allowed.add(TOKEN)
    assert (hub.download(hub.look_up("org/name")) / "model.safetensors").is_file()


def test_refused_token(server: FakeHub, model: Path, tmp_path: Path) -> None:
    """A token that the Hub does not know is told apart from a missing repository."""
    server.add("org/name", model)
    with pytest.raises(errors.HubGated, match="does not accept your access token"):
        Hub(server.endpoint, tmp_path / "cache", "hf_unknown").look_up("org/name")


@pytest.mark.parametrize(("status", "kind", "words"), [
    (403, errors.HubGated, "lacks the right"),
    (429, errors.HubUnreachable, "in 7 seconds"),
    (500, errors.HubUnreachable, "status 500"),
    (503, errors.HubUnreachable, "status 503"),
    (418, errors.HubError, "status 418"),
])
def test_refusals(server: FakeHub, hub: Hub, status: int, kind: type[Exception], words: str) -> None:
    """Every other refusal has a sentence of its own."""
    server.refuse(status, Retry_After="7")
    with pytest.raises(kind, match=words):
        hub.look_up("org/name")


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b'{"hello": "world"}', b"[1]", b'{"id": "org/name"}'])
def test_something_that_is_no_hub(server: FakeHub, hub: Hub, body: bytes) -> None:
    """A page where an API answer should be (a login page, a proxy) is called by its name."""
    server.refuse(200, body=body)
    with pytest.raises(errors.HubUnreachable, match="did not answer like a Hub"):
        hub.look_up("org/name")


def test_connection_refused(tmp_path: Path, server: FakeHub) -> None:
    """A closed port says where nobody answered."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(errors.HubUnreachable, match=endpoint):
            Hub(endpoint, tmp_path / "cache").look_up("org/name")
    assert server.requests == []


def test_silent_server(tmp_path: Path, server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the call and says nothing is a timeout."""
    monkeypatch.setattr("core.hub.LOOK_UP_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.HubUnreachable, match="in time"):
            Hub(endpoint, tmp_path / "cache").look_up("org/name")
    assert server.requests == []


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
    (model / "model.safetensors").unlink()
    for index in (1, 2):
        save_file({f"part{index}": numpy.ones(index, numpy.float32)}, model / f"model-0000{index}-of-00002.safetensors")
    server.add("org/name", model)
    folder = hub.download(hub.look_up("org/name"))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(errors.HubUnreachable, match="not completely in the cache"):
        Hub(server.endpoint, tmp_path / "cache", offline=True).look_up("org/name")


def test_cancelled_before_it_begins(server: FakeHub, hub: Hub) -> None:
    """A look-up that was cancelled asks nothing."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(errors.Cancelled):
        hub.look_up("org/name", cancel=cancel)
    assert server.requests == []


@pytest.mark.parametrize("from_environment", [True, False])
def test_token_never_leaks(
    server: FakeHub, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_environment: bool  # noqa: FBT001
) -> None:
    """A token, given or from the environment, is sent to the Hub and is in no error, repr, or call elsewhere."""
    monkeypatch.setattr("core.downloads.PAUSES", ())
    server.add("org/name", model, gated=True)
    server.add("org/open", model)
    if from_environment:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub = Hub(server.endpoint, tmp_path / "cache", None if from_environment else TOKEN)
    texts = [repr(hub), str(vars(hub)) if from_environment else ""]
    gated = hub.look_up("org/name")
    for status in (401, 403, 404, 429, 500):
        server.refuse(status)
        with pytest.raises(errors.HubError) as refused:
            hub.look_up("org/open")
        texts.append(told(refused.value))
    for attempt in (hub.facts, hub.download):
        with pytest.raises(errors.HubGated) as denied:
            attempt(gated)  # type: ignore[operator]
        texts.append(told(denied.value))
    server.cut("model.safetensors", after=0, times=None)
    with pytest.raises(errors.HubUnreachable) as broken:
        hub.download(hub.look_up("org/open"))
    texts.append(told(broken.value))
    assert not any(TOKEN in text for text in texts)
    asked = {request.authorization for request in server.requests if not request.host.startswith("localhost")}
    assert asked == {f"Bearer {TOKEN}"}
    assert {request.authorization for request in server.requests if request.host.startswith("localhost")} == {None}


def test_malformed_token() -> None:
    """A token that no header could carry is refused without being shown."""
    with pytest.raises(errors.InvalidInput) as refused:
        Hub(token="hf_secret part\nmore")  # noqa: S106
    assert "hf_secret" not in told(refused.value).split("Traceback")[0]
    assert "hf_secret" not in str(refused.value)


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
    check = "import sys, core.hub; print([name for name in ('torch', 'huggingface_hub', 'httpx2') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)  # noqa: S603
    assert answer.stdout.strip() == "[]"
