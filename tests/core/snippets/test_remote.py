"""The code of a conversation elsewhere is run as a reader would run it, against a server on the loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from core.catalogue import Catalogue
from core.events import CancelToken
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.remote.chat import RemoteOptions, stream_chat
from core.remote.names import Endpoint, remote_place
from core.settings import Settings
from core.snippets import snippets_markdown
from core.snippets.remote import Talk, remote_chat, remote_curl
from core.snippets.source import source
from core.tasks.text.chat import ChatSettings, chat
from tests.fakes.chat_server import ANSWER, FakeChatServer

MESSAGES = (
    {"role": "system", "content": 'It\'s "brief":\n```\\n'},
    {"role": "user", "content": "我很喜歡 bridges, $HOME `id` 😀 \u202e"},
)
OPTIONS = RemoteOptions(max_new_tokens=4, temperature=0.5, top_p=0.9, seed=3, stop=("\n", "'"))
SECRET = "hf_averysecrettokenindeed"


def run(program: str, code: str, **environment: str) -> str:
    """Run code as somebody would who is logged in to Hugging Face, and return what it prints."""
    logged_in = {**os.environ, "HF_TOKEN": SECRET, "HF_HUB_OFFLINE": "0", **environment}
    done = subprocess.run(
        [program, "-"] if program == sys.executable else [program],
        input=code,
        env=logged_in,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sent(server: FakeChatServer) -> list[Mapping[str, object]]:
    """Return what the conversations said, without what only streaming needs."""
    streaming = {"stream", "stream_options"}
    return [{name: value for name, value in one.body.items() if name not in streaming} for one in server.conversations]


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize("path", ["/v1#tiny/chat", "", "/deep/v1#tiny/chat"])
def test_the_code_says_what_we_said(monkeypatch: pytest.MonkeyPatch, key: str | None, path: str) -> None:
    """Python and curl send the very conversation that we sent, with the server's key, and never a token of the Hub."""
    with FakeChatServer(key=key) as server:
        monkeypatch.setenv("ATELIER_ENDPOINT_KEYS", f"{server.host}={key or 'unused'}")
        spec = Catalogue(Settings()).resolve(f"http://{server.host}{path}", "chat")
        answer = stream_chat(spec, MESSAGES, OPTIONS, CancelToken(), lambda _: None)
        talk = Talk(remote_place(spec.name), answer.model, OPTIONS)
        python = source(*remote_chat(talk, MESSAGES)) + "import json\nprint(json.dumps(result))"
        curl = remote_curl(talk, MESSAGES)
        given = {"ENDPOINT_KEY": key} if key else {}
        assert json.loads(run(sys.executable, python, **given)) == [
            {"generated_text": [*MESSAGES, {"role": "assistant", "content": answer.text}]}
        ]
        assert run("bash", curl, **given) == f"{answer.text}\n"
        ours, *others = sent(server)
        assert others == [ours, ours]
        assert answer.text == "".join(ANSWER[:4])
        assert SECRET not in f"{python}{curl}{server.heard}"
        assert not key or key not in f"{python}{curl}"


def test_a_long_conversation_fits_the_command_line(chat_server: FakeChatServer) -> None:
    """The bash takes a conversation of any length."""
    chat_server.context = 100_000
    said = [{"role": "user", "content": "word " * 40_000}]
    assert run("bash", remote_curl(Talk(remote_place(chat_server.name()), "", RemoteOptions()), said)) == (
        f"{''.join(ANSWER)}\n"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf-inference:org/model", ('provider="auto"', 'model="org/model"', '"model": "org/model"')),
        ("hf-inference:org/model:groq", ('provider="groq"', 'model="org/model"', '"model": "org/model:groq"')),
        (
            "hf-inference:org/model:cheapest",
            ('provider="auto"', 'model="org/model:cheapest"', '"model": "org/model:cheapest"'),
        ),
        (
            "https://router.huggingface.co/v1#org/model",
            ('base_url="https://router.huggingface.co/v1"', 'model="org/model"', '"model": "org/model"'),
        ),
    ],
)
def test_inference_providers(name: str, expected: tuple[str, ...]) -> None:
    """For Inference Providers the code reads HF_TOKEN, and names provider and model as each of the two takes them."""
    talk = Talk(remote_place(name), "answered", OPTIONS)
    python, curl = source(*remote_chat(talk, MESSAGES)), remote_curl(talk, MESSAGES)
    assert all(part in python for part in ('os.environ["HF_TOKEN"]', *expected[:2]))
    assert all(part in curl for part in ("${HF_TOKEN:?}", "https://router.huggingface.co/v1/chat", expected[2]))


def test_an_address_that_the_client_would_change() -> None:
    """Where InferenceClient would put /v1 into an address, it is given the whole one."""
    place = remote_place("https://host.example/v1beta/openai#m")
    assert isinstance(place, Endpoint)
    python = source(*remote_chat(Talk(place, "m", OPTIONS), MESSAGES))
    assert 'base_url="https://host.example/v1beta/openai/chat/completions"' in python


def test_the_panel_shows_how_to_ask_without_atelier(chat_server: FakeChatServer) -> None:
    """Under an answer from elsewhere stand Python, the curl to Atelier, and the curl to the server itself."""
    catalogue = Catalogue(Settings())
    registry = Registry(catalogue, Loader(catalogue, Hub(offline=True)))
    settings = ChatSettings(message="What do bridges do?", system_prompt="Be brief.", model=chat_server.base)
    reply = chat(settings, registry)
    blocks = snippets_markdown("chat", settings, reply, "http://127.0.0.1:7860").split("\n\n```")
    python, ours, theirs = (block.removeprefix("```").partition("\n")[2].removesuffix("```") for block in blocks)
    assert "/gradio_api/call/v2/chat" in ours
    assert json.loads(run(sys.executable, python)) == reply.result
    assert run("bash", theirs) == f"{reply.text}\n"
    first, *others = sent(chat_server)
    assert others == [first, first]
