"""What the Hub refuses, and its silences: each has its sentence, and none shows a token."""

from __future__ import annotations

import socket
import traceback
from pathlib import Path

import pytest

from core import errors
from core.hub.client import Hub
from tests.fakes.hub_server import FakeHub

TOKEN = "hf_verysecretindeed"


@pytest.fixture
def server(server: FakeHub) -> FakeHub:
    """Let that Hub know one token."""
    server.tokens.add(TOKEN)
    return server


def told(error: BaseException) -> str:
    """Return everything that a log would show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


@pytest.mark.parametrize("repo_id", ["no/slashes/like/this", "", "a b", "../../etc/passwd", "x" * 200, "a..b", "hé"])
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


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, errors.HubGated, "lacks the right"),
        (429, errors.HubUnreachable, "in 7 seconds"),
        (500, errors.HubUnreachable, "status 500"),
        (503, errors.HubUnreachable, "status 503"),
        (418, errors.HubError, "status 418"),
    ],
)
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
    monkeypatch.setattr("core.hub.client.LOOK_UP_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.HubUnreachable, match="in time"):
            Hub(endpoint, tmp_path / "cache").look_up("org/name")
    assert server.requests == []


@pytest.mark.parametrize("from_environment", [True, False])
def test_token_never_leaks(
    server: FakeHub, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_environment: bool
) -> None:
    """A token, given or from the environment, is sent to the Hub and is in no error, repr, or call elsewhere."""
    monkeypatch.setattr("core.hub.downloads.PAUSES", ())
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
            attempt(gated)
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
        Hub(token="hf_secret part\nmore")
    assert "hf_secret" not in told(refused.value).split("Traceback")[0]
    assert "hf_secret" not in str(refused.value)
