"""What servers elsewhere refuse, and their silences: each has its sentence, and a server's words come to no harm."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from core.catalogue import Catalogue
from core.errors import (
    AtelierError,
    Cancelled,
    RemoteDenied,
    RemoteError,
    RemoteMissing,
    RemoteTooLong,
    RemoteUnreachable,
)
from core.events import CancelToken
from core.remote.chat import RemoteOptions, stream_chat
from core.remote.errors import MOST_WORDS, seconds_to_wait
from core.settings import Settings
from tests.fakes.chat_server import FakeChatServer


def refused(name: str, **options: Any) -> AtelierError:
    """Return the error that a conversation with this model ends with."""
    spec = Catalogue(Settings()).resolve(name, "chat")
    messages = [{"role": "user", "content": "What do bridges do?"}]
    with pytest.raises(AtelierError) as refusal:
        stream_chat(spec, messages, RemoteOptions(**options), CancelToken(), lambda _: None)
    return refusal.value


def key_of(error: AtelierError) -> str:
    """Return the name of an error's sentence."""
    return error.sentence.key.removeprefix("error.remote_")


def unused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_server() -> None:
    """Where nobody listens, the sentence says that the machine is there and the server is not."""
    error = refused(f"http://127.0.0.1:{unused_port()}/v1#m")
    assert isinstance(error, RemoteUnreachable)
    assert key_of(error) == "connection_refused"


def test_no_such_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no machine has is told as that."""

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    error = refused("http://nobody.example:8000/v1#m")
    assert (key_of(error), error.sentence.values["host"]) == ("unknown_host", "nobody.example:8000")


def test_no_way_there() -> None:
    """Any other trouble on the way is told with the system's own reason."""
    error = refused("http://another-host.example/v1#m")  # the tests reach no other host
    assert isinstance(error, RemoteUnreachable)
    assert key_of(error) == "no_connection"


def test_https_where_http_is_spoken(chat_server: FakeChatServer) -> None:
    """A server that does not speak https is told as that."""
    assert key_of(refused(f"https://{chat_server.host}/v1#m")) == "tls"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that nobody has signed, and its private key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    signed, key = folder / "certificate.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(signed)], check=True, capture_output=True)
    return signed, key


@pytest.fixture
def secure_server(certificate: tuple[Path, Path]) -> Iterator[FakeChatServer]:
    """Start a chat server that speaks https with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with FakeChatServer(tls=context) as server:
        yield server


def test_a_certificate_that_nobody_has_signed(secure_server: FakeChatServer) -> None:
    """Nothing is sent to a server whose certificate cannot be trusted."""
    assert key_of(refused(secure_server.name())) == "certificate"
    assert secure_server.heard == []


def test_https(secure_server: FakeChatServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Over https with a trusted certificate a conversation goes on as over http, and a stop closes the connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    spec, said, cancel = Catalogue(Settings()).resolve(secure_server.name(), "chat"), [], CancelToken()
    messages = [{"role": "user", "content": "What do bridges do?"}]
    assert stream_chat(spec, messages, RemoteOptions(), cancel, said.append).text == said[-1]
    turn = secure_server.next(hold_after=1)
    with pytest.raises(Cancelled):
        stream_chat(spec, messages, RemoteOptions(), cancel, lambda _: cancel.cancel())
    assert turn.gone.wait(5)


def test_a_page_for_people(chat_server: FakeChatServer) -> None:
    """An address where a page for people answers is told as the wrong one, with the usual form."""
    error = refused(f"http://{chat_server.host}/somewhere/v9#m")
    assert isinstance(error, RemoteMissing)
    assert f"http://{chat_server.host}/somewhere/v9" in str(error)
    assert "/v1" in str(error)


@pytest.mark.parametrize("status", [200, 403, 404, 405])
def test_html_is_no_answer(chat_server: FakeChatServer, status: int) -> None:
    """A page is no answer, whatever its status."""
    chat_server.refuse(status, "<html>Sign in to <b>Wi-Fi</b></html>", Content_Type="text/html")
    error = refused(chat_server.name())
    assert key_of(error) == ("forbidden" if status == 403 else "not_an_api")
    assert "Wi-Fi" not in str(error)


def test_another_kind_of_server(chat_server: FakeChatServer) -> None:
    """Plain words with status 200 are no answer either."""
    chat_server.refuse(200, "Ollama is running")
    assert key_of(refused(chat_server.name())) == "not_an_api"


@pytest.mark.parametrize(
    ("status", "kind", "key"),
    [
        (400, RemoteError, "refused"),
        (402, RemoteDenied, "payment"),
        (403, RemoteDenied, "forbidden"),
        (422, RemoteError, "refused"),
        (429, RemoteUnreachable, "busy"),
        (500, RemoteUnreachable, "down"),
        (503, RemoteUnreachable, "down"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "the very words", "type": "x"}},
        {"error": "the very words", "error_type": "x"},
        {"object": "error", "message": "the very words"},
        {"detail": [{"loc": ["body"], "msg": "the very words"}]},
        "the very words",
    ],
)
def test_refusals(chat_server: FakeChatServer, status: int, kind: type[RemoteError], key: str, body: Any) -> None:
    """Each status has its sentence, with the server's own words, in whichever shape it sends them."""
    chat_server.refuse(status, body)
    error = refused(chat_server.name())
    assert type(error) is kind
    assert key_of(error) == key
    assert "the very words" in str(error)


@pytest.mark.parametrize("body", ["", {}, {"error": None}, {"error": {}}, {"detail": []}])
def test_a_refusal_without_words(chat_server: FakeChatServer, body: Any) -> None:
    """A server that gives no reason is said to give none."""
    chat_server.refuse(500, body)
    assert "(nothing)" in str(refused(chat_server.name()))


def test_a_key_is_asked_for() -> None:
    """Without a key, the sentence says where to give it, for which host."""
    with FakeChatServer(key="k") as server:
        error = refused(server.name())
        assert isinstance(error, RemoteDenied)
        assert f"ATELIER_ENDPOINT_KEYS to {server.host}=key" in str(error)


def test_a_wrong_key(chat_server: FakeChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not accepted is told as that, and the key itself is not told."""
    monkeypatch.setenv("ATELIER_ENDPOINT_KEYS", f"{chat_server.host}=wrong-key")
    chat_server.refuse(401, {"error": {"message": "Incorrect API key provided: wrong-key"}})
    error = refused(chat_server.name())
    assert (type(error), key_of(error)) == (RemoteDenied, "key_refused")
    assert "wrong-key" not in str(error)
    assert "Incorrect API key provided" in str(error)


@pytest.mark.parametrize(("asked", "told"), [("7", 7), ("0.2", 1)])
def test_when_to_come_back(chat_server: FakeChatServer, asked: str, told: int) -> None:
    """A busy server's Retry-After is told, in whole seconds."""
    chat_server.refuse(429, {"error": {"message": "slow down"}}, Retry_After=asked)
    error = refused(chat_server.name())
    assert (type(error), key_of(error)) == (RemoteUnreachable, "busy_for")
    assert error.sentence.values["seconds"] == told


def test_a_date_to_come_back_at() -> None:
    """A Retry-After may be a date; one in the past means at once."""
    soon, past = (formatdate(time.time() + seconds, usegmt=True) for seconds in (3600, -3600))
    assert 3500 < (seconds_to_wait({"retry-after": soon}) or 0) <= 3600
    assert seconds_to_wait({"retry-after": past}) == 1


@pytest.mark.parametrize("asked", ["", "soon", "-3"])
def test_no_time_to_come_back(asked: str) -> None:
    """A Retry-After that says nothing counts as none."""
    assert seconds_to_wait({"retry-after": asked}) is None


def test_a_conversation_too_long() -> None:
    """A conversation that the model cannot read is refused with the server's numbers."""
    with FakeChatServer(context=10) as server:
        error = refused(server.name(), max_new_tokens=100)
        assert isinstance(error, RemoteTooLong)
        assert key_of(error) == "too_long"
        assert (error.limit, error.length) == (10, 4)
        assert all(number in str(error) for number in ("10 tokens", "104 tokens", "max_new_tokens"))
        assert len(server.conversations) == 1


@pytest.mark.parametrize(
    ("status", "body", "numbers"),
    [
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size, try increasing it",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 5321,
                    "n_ctx": 4096,
                }
            },
            ("5321", "4096"),
        ),
        (
            422,
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5321 ...",
                "error_type": "validation",
            },
            ("5321", "4096"),
        ),
        (400, {"error": {"message": "Too much.", "code": "context_length_exceeded"}}, ()),
    ],
)
def test_too_long_in_other_words(chat_server: FakeChatServer, status: int, body: Any, numbers: tuple[str, ...]) -> None:
    """The words and numbers of llama.cpp, TGI and OpenAI for the same are understood."""
    chat_server.refuse(status, body)
    error = refused(chat_server.name())
    assert key_of(error) == "too_long"
    assert all(number in str(error) for number in numbers)


def test_too_long_in_the_stream(chat_server: FakeChatServer) -> None:
    """A server may find out only after it has begun to answer."""
    chat_server.next(raw=b'data: {"error":{"message":"maximum context length is 8 tokens","code":400}}\n\n')
    assert key_of(refused(chat_server.name())) == "too_long"


def test_an_error_in_the_stream(chat_server: FakeChatServer) -> None:
    """An error that comes in place of the first word is told in the server's words."""
    chat_server.next(fail_after=0)
    error = refused(chat_server.name())
    assert key_of(error) == "failed"
    assert "CUDA out of memory" in str(error)


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {not json}\n\n",
        b"data: [1, 2]\n\n",
        b'data: "text"\n\n',
        b'data: {"choices": "none"}\n\n',
        b'data: {"choices": [3]}\n\n',
        b'data: {"choices": [{"delta": {"content": 5}}]}\n\n',
        b'data: {"choices": [{"delta": "text"}]}\n\n',
        b"data: [DONE]\n\n",
        b"data: " + b"[" * 100_000 + b"]" * 100_000 + b"\n\n",
    ],
)
def test_garbage(chat_server: FakeChatServer, raw: bytes) -> None:
    """What is none of the protocol is told as that, not as a bug of ours."""
    chat_server.next(raw=raw)
    error = refused(chat_server.name())
    assert (type(error), key_of(error)) == (RemoteError, "garbage")


@pytest.mark.parametrize("body", ["{broken", "[]", "{}", '{"choices": []}', '{"choices": [{"message": 3}]}', "3"])
def test_garbage_as_a_whole(chat_server: FakeChatServer, body: str) -> None:
    """An answer that does not stream may be garbage, too."""
    chat_server.refuse(200, body, Content_Type="application/json")
    assert key_of(refused(chat_server.name())) == "garbage"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(chat_server: FakeChatServer, status: int) -> None:
    """A redirect is told with where it leads, without its query, and nobody goes there."""
    with FakeChatServer() as other:
        chat_server.refuse(status, "", Location=f"{other.base}/chat/completions?signature=secret")
        error = refused(chat_server.name())
        assert (type(error), key_of(error)) == (RemoteMissing, "redirect")
        assert f"{other.base}/chat/completions" in str(error)
        assert "secret" not in str(error)
        assert other.heard == []


def test_a_redirect_of_the_list_is_not_followed(chat_server: FakeChatServer) -> None:
    """Neither does the question for a server's models go anywhere else."""
    with FakeChatServer() as other:
        chat_server.refuse(302, "", Location=f"{other.base}/models")
        assert key_of(refused(chat_server.base)) == "redirect"
        assert other.heard == []


@pytest.mark.parametrize("body", [{"models": []}, {"data": [{"name": "x"}]}, {"data": 3}, "words"])
def test_a_list_that_is_none(chat_server: FakeChatServer, body: Any) -> None:
    """An address without a name, where no list of models is to be had, is told as the wrong one."""
    chat_server.refuse(200, body)
    assert key_of(refused(chat_server.base)) == "not_an_api"


def test_an_empty_list() -> None:
    """A server without any model says so."""
    with FakeChatServer() as server:
        server.models.clear()
        assert "It has: none." in str(refused(server.name("m")))
        assert "has: none." in str(refused(server.base))


def test_foreign_words_do_no_harm(chat_server: FakeChatServer) -> None:
    """A server's words are short, in one line and without markup or signs that do not print."""
    chat_server.refuse(500, {"error": {"message": "<img src=//x>\n\x1b[31mred\u202e" + "long " * 500}})
    said = refused(chat_server.name()).sentence.values["said"]
    assert said.startswith("‹img src=//x› [31mred long")
    assert len(said) == MOST_WORDS + 1


def test_a_model_name_with_markup_does_no_harm(chat_server: FakeChatServer) -> None:
    """Names that a server gives to models are shown as text."""
    chat_server.models[:] = ["<b>bold</b>", "other"]
    assert "‹b›bold‹/b›" in str(refused(chat_server.base))


def test_a_huge_refusal_is_not_read_to_its_end(chat_server: FakeChatServer) -> None:
    """A refusal of any size costs little."""
    chat_server.refuse(500, "long " * 2_000_000)
    assert len(str(refused(chat_server.name()))) < 1000
