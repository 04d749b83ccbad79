"""Inference Providers: InferenceClient's own routes, led to a router and a Hub on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import close_session, constants
from huggingface_hub.inference import _providers
from huggingface_hub.inference._providers import _common, hf_inference

from core.catalogue import Catalogue
from core.errors import AtelierError, HubGated, InvalidInput, RemoteDenied, RemoteMissing, RemoteUnreachable
from core.events import CancelToken
from core.remote.chat import RemoteAnswer, RemoteOptions, stream_chat
from core.settings import Settings
from tests.fakes.chat_server import ANSWER, FakeChatServer

TOKEN = "hf_averysecrettokenindeed"
MODEL = "org/model"


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChatServer]:
    """Lead the client to a router that knows one token and one model, which two companies serve."""
    with FakeChatServer(MODEL, key=TOKEN) as server:
        server.serve_by(MODEL, "groq", "model-on-groq")
        server.serve_by(MODEL, "novita", "their/model", task="text-to-image")
        server.serve_by(MODEL, "hf-inference", MODEL)
        monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", f"http://{server.host}/{{provider}}")
        monkeypatch.setattr(_providers.CONVERSATIONAL_AUTO_ROUTER, "base_url", f"http://{server.host}")
        monkeypatch.setattr(constants, "ENDPOINT", f"http://{server.host}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        close_session()
        _common._fetch_inference_provider_mapping.cache_clear()
        hf_inference._check_supported_task.cache_clear()
        yield server
        close_session()


def ask(name: str, told: list[str] | None = None) -> RemoteAnswer:
    """Have a conversation with the model of this name."""
    spec = Catalogue(Settings()).resolve(name, "chat")
    messages = [{"role": "user", "content": "What do bridges do?"}]
    heard: list[str] = [] if told is None else told
    return stream_chat(spec, messages, RemoteOptions(max_new_tokens=4), CancelToken(), heard.append)


def refused(name: str) -> AtelierError:
    """Return the error that a conversation with this model ends with."""
    with pytest.raises(AtelierError) as refusal:
        ask(name)
    assert TOKEN not in str(refusal.value)
    return refusal.value


@pytest.mark.parametrize(
    ("name", "path", "sent", "device"),
    [
        (f"hf-inference:{MODEL}", "/v1/chat/completions", MODEL, "auto"),
        (f"hf-inference:{MODEL}:cheapest", "/v1/chat/completions", f"{MODEL}:cheapest", "cheapest"),
        (f"hf-inference:{MODEL}:groq", "/groq/openai/v1/chat/completions", "model-on-groq", "groq"),
        (
            f"hf-inference:{MODEL}:hf-inference",
            f"/hf-inference/models/{MODEL}/v1/chat/completions",
            MODEL,
            "hf-inference",
        ),
    ],
)
def test_routes(router: FakeChatServer, name: str, path: str, sent: str, device: str) -> None:
    """Each way of naming a provider takes the library's own route, with the token, and streams."""
    told: list[str] = []
    answer = ask(name, told)
    asked = router.conversations[0]
    assert (asked.path, asked.body["model"], asked.body["stream"]) == (path, sent, True)
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert told == ["".join(ANSWER[:count]) for count in range(1, 5)]
    assert (answer.device, answer.reason, answer.new_tokens) == (f"remote: Inference Providers ({device})", "length", 4)


def test_what_a_provider_calls_it_is_told(router: FakeChatServer) -> None:
    """Provenance names the model as the company does, and a note names what was asked for."""
    answer = ask(f"hf-inference:{MODEL}:groq")
    assert router.conversations
    assert answer.provenance().model == "model-on-groq"
    assert answer.notes[0].key == "say.remote_other_model"


def test_whom_the_router_chose_is_told(router: FakeChatServer) -> None:
    """Where the router chooses, provenance names the company that it says it has asked."""
    router.next(provider="groq")
    assert ask(f"hf-inference:{MODEL}").provenance().device == "remote: Inference Providers (groq)"


def test_unknown_provider(router: FakeChatServer) -> None:
    """A company that the library does not know for chat is refused with those that it knows; nobody is asked."""
    error = refused(f"hf-inference:{MODEL}:nobody")
    assert type(error) is InvalidInput
    assert all(name in str(error) for name in ("nobody", "groq", "together", "cheapest"))
    assert router.heard == []


@pytest.mark.parametrize("provider", ["openai", "replicate"])
def test_providers_without_a_route(router: FakeChatServer, provider: str) -> None:
    """A company that has no chat, or none behind the router, is no choice."""
    assert type(refused(f"hf-inference:{MODEL}:{provider}")) is InvalidInput
    assert router.heard == []


@pytest.mark.parametrize("provider", ["together", "novita"])
def test_a_model_that_a_provider_does_not_serve(router: FakeChatServer, provider: str) -> None:
    """A model that this company does not serve, or not for chat, is told with where to see who does."""
    error = refused(f"hf-inference:{MODEL}:{provider}")
    assert type(error) is RemoteMissing
    assert f"https://huggingface.co/{MODEL}" in str(error)
    assert router.conversations == []


def test_a_model_that_nobody_serves(router: FakeChatServer) -> None:
    """The router's own refusal of a model becomes the same sentence."""
    router.refuse(400, {"error": {"message": "The requested model is not supported.", "code": "model_not_supported"}})
    error = refused(f"hf-inference:{MODEL}")
    assert (type(error), error.sentence.key) == (RemoteMissing, "error.remote_provider_model")


def test_a_model_that_is_not_on_the_hub(router: FakeChatServer) -> None:
    """A model that is not there is told in the Hub's sentence."""
    error = refused("hf-inference:org/nothing:groq")
    assert error.sentence.key == "error.hub_missing_repository"
    assert router.conversations == []


def test_a_gated_model(router: FakeChatServer) -> None:
    """A gated model that the token has no access to is told with where to accept its licence."""
    router.refuse(403, {"error": "Access to model is restricted"}, X_Error_Code="GatedRepo")
    error = refused(f"hf-inference:{MODEL}:groq")
    assert type(error) is HubGated
    assert f"https://huggingface.co/{MODEL}" in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "key", "told"),
    [
        (401, RemoteDenied, "error.remote_token_refused", "settings/tokens"),
        (402, RemoteDenied, "error.remote_payment", "monthly included credits"),
        (403, RemoteDenied, "error.remote_token_forbidden", "Make calls to Inference Providers"),
        (429, RemoteUnreachable, "error.remote_busy", "monthly included credits"),
        (503, RemoteUnreachable, "error.remote_down", "503"),
    ],
)
def test_refusals(router: FakeChatServer, status: int, kind: type, key: str, told: str) -> None:
    """What the router refuses for is told with what to do about it at Hugging Face."""
    router.refuse(status, {"error": "You have exceeded your monthly included credits."})
    error = refused(f"hf-inference:{MODEL}")
    assert (type(error), error.sentence.key) == (kind, key)
    assert told in str(error)


@pytest.mark.parametrize("token", [None, "sk-of-another-company", "api_org_old"])
def test_no_token(router: FakeChatServer, monkeypatch: pytest.MonkeyPatch, token: Any) -> None:
    """Without a token of Hugging Face nobody is asked: the library would send any other to the company itself."""
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    for name in (f"hf-inference:{MODEL}", f"hf-inference:{MODEL}:groq"):
        error = refused(name)
        assert (type(error), error.sentence.key) == (RemoteDenied, "error.remote_no_token")
    assert router.heard == []


@pytest.mark.parametrize("name", [f"hf-inference:{MODEL}", "https://router.huggingface.co/v1#m"])
def test_offline(router: FakeChatServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """HF_HUB_OFFLINE closes the way to Hugging Face, by whichever name."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    error = refused(name)
    assert (type(error), error.sentence.key) == (RemoteUnreachable, "error.remote_offline")
    assert router.heard == []


def test_a_named_server_is_called_offline(chat_server: FakeChatServer) -> None:
    """A server that somebody names is no Hub: it is called while the Hub is not."""
    assert constants.HF_HUB_OFFLINE
    assert ask(chat_server.name()).text == "".join(ANSWER[:4])
