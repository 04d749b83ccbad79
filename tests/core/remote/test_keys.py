"""A key goes to the host it was given for, and nowhere else: not to others, not into words, not into the log."""

from __future__ import annotations

import logging
import traceback

import pytest

from core.catalogue import Catalogue
from core.endpoint_keys import VARIABLE
from core.errors import AtelierError
from core.events import CancelToken
from core.remote.chat import RemoteAnswer, RemoteOptions, stream_chat
from core.remote.client import Cord, Key, open_session
from core.settings import Settings
from tests.fakes.chat_server import FakeChatServer

TOKEN = "hf_averysecrettokenindeed"
KEY = "sk-the-key-of-this-server"


@pytest.fixture(autouse=True)
def _logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be logged in to Hugging Face."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def ask(name: str) -> RemoteAnswer:
    """Have a conversation with the model of this name."""
    spec = Catalogue(Settings()).resolve(name, "chat")
    return stream_chat(spec, [{"role": "user", "content": "Hi"}], RemoteOptions(), CancelToken(), lambda _: None)


def test_no_server_sees_the_token(chat_server: FakeChatServer) -> None:
    """A server that was given no key gets none: not the saved token, which the library would send."""
    ask(chat_server.base)
    assert len(chat_server.heard) == 2
    assert all("authorization" not in one.headers for one in chat_server.heard)
    assert TOKEN not in str(chat_server.heard)


def test_a_key_opens_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that was given for a host goes with the conversation and with the question for models."""
    with FakeChatServer(key=KEY) as server:
        monkeypatch.setenv(VARIABLE, f"other.example=x,{server.host}={KEY}")
        assert ask(server.base).text
        assert {one.headers["authorization"] for one in server.heard} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("given_for", ["127.0.0.1", "127.0.0.1:1", "localhost", "example.com"])
def test_no_other_server_sees_a_key(
    chat_server: FakeChatServer, monkeypatch: pytest.MonkeyPatch, given_for: str
) -> None:
    """A key for another host, another port, or for https alone stays here."""
    monkeypatch.setenv(VARIABLE, f"{given_for}={KEY}")
    ask(chat_server.name())
    assert KEY not in str(chat_server.heard)


def test_a_key_does_not_follow_the_server_elsewhere(chat_server: FakeChatServer) -> None:
    """Whatever the library may ask for, a request to another address goes without the key."""
    with FakeChatServer() as other, open_session(Cord(), Key(f"http://{chat_server.host}", KEY)) as session:
        session.get(f"{chat_server.base}/models", headers={"authorization": f"Bearer {TOKEN}"})
        session.get(f"{other.base}/models", headers={"authorization": f"Bearer {TOKEN}"})
        assert chat_server.heard[0].headers["authorization"] == f"Bearer {KEY}"
        assert "authorization" not in other.heard[0].headers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_words_do_not_hold_the_key(
    chat_server: FakeChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Neither an error with all that led to it nor any log holds a key, even where the server repeats it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, f"{chat_server.host}={KEY}")
    chat_server.refuse(status, {"error": {"message": f"Incorrect API key: {KEY} or {TOKEN}"}})
    with pytest.raises(AtelierError) as refusal:
        ask(chat_server.name("unknown"))
    told = "".join(traceback.format_exception(refusal.value)) + repr(refusal.value) + repr(refusal.value.sentence)
    assert KEY not in told + caplog.text
    assert TOKEN not in told + caplog.text


def test_an_answer_does_not_hold_the_key(
    chat_server: FakeChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Provenance, notes and logs of an answer know no key."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, f"{chat_server.host}={KEY}")
    answer = ask(chat_server.name())
    assert KEY not in f"{answer}{answer.provenance()}{caplog.text}"


def test_a_bad_pair_is_told_when_it_is_needed(chat_server: FakeChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the variable was spoilt after the start, a conversation is refused with the place of the bad pair."""
    monkeypatch.setenv(VARIABLE, f"{KEY}")
    with pytest.raises(AtelierError, match="Pair 1") as refusal:
        ask(chat_server.name())
    assert KEY not in str(refusal.value)
    assert chat_server.heard == []


def test_a_key_is_not_shown_by_its_holder() -> None:
    """A look at the object that carries a key does not show it."""
    assert KEY not in repr(Key("https://host.example", KEY))
