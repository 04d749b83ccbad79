"""InferenceClient over a connection of its own: one key for one host, no redirects, and a cord that ends it.

Import this module where it is used: it loads huggingface_hub.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
from huggingface_hub import InferenceClient
from huggingface_hub.inference._common import RequestParameters

CONNECT_SECONDS = 10.0
MOST_BYTES_OF_A_REFUSAL = 64_000
MOST_BYTES_OF_AN_ANSWER = 20_000_000
"""Of an answer that comes as a whole, and of one line of a stream."""


class RefusedError(Exception):
    """The server answered, but not with what was asked for; nothing of it is shown without being looked at."""

    def __init__(self, response: httpx2.Response) -> None:
        """Keep what explains the refusal; the body is read as far as it is of use."""
        super().__init__(f"status {response.status_code}")
        self.status = response.status_code
        self.headers = response.headers
        self.body = _read(response, MOST_BYTES_OF_A_REFUSAL).decode(errors="replace")

    @property
    def is_page(self) -> bool:
        """True where a person with a browser was meant to see this."""
        return "html" in self.headers.get("content-type", "") or self.body.lstrip()[:1] == "<"


class Cord:
    """Pull it, and every connection along it ends at once, whatever thread waits there."""

    def __init__(self) -> None:
        """Begin with no connection."""
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._pulled = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear from the HTTP library of each connection, as its request extension `trace`."""
        if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        with self._lock:
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self._pulled:
                self._end()

    def pull(self) -> None:
        """End what is connected, and whatever connects from now on."""
        with self._lock:
            self._pulled = True
            self._end()

    def _end(self) -> None:
        for one in self._sockets:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(one, socket.SHUT_RDWR)


@dataclass(frozen=True)
class Key:
    """What opens `address` (scheme, host and port), and nothing else."""

    address: str
    value: str | None = field(repr=False)

    def put_on(self, request: httpx2.Request) -> None:
        """Give the key to a request to its own address; any other goes without."""
        request.headers.pop("authorization", None)
        if self.value and f"{request.url.scheme}://{request.url.netloc.decode()}" == self.address:
            request.headers["authorization"] = f"Bearer {self.value}"


def open_session(cord: Cord, key: Key) -> httpx2.Client:
    """Return an HTTP client that carries `key`, follows no redirect, and whose connections hang on `cord`."""

    def on_cord(request: httpx2.Request) -> None:
        request.extensions["trace"] = cord.trace

    return httpx2.Client(
        event_hooks={"request": [on_cord, key.put_on]},
        headers={"accept-encoding": "identity"},
        follow_redirects=False,
        verify=True if key.address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # trusts nobody
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
    )


def list_models(session: httpx2.Client, base: str) -> list[str]:
    """Return the names of a server's models, as GET /models gives them; raises RefusedError, ValueError, KeyError."""
    with session.stream("GET", f"{base}/models") as response:
        if response.status_code != httpx2.codes.OK:
            raise RefusedError(response)
        listed = json.loads(_read(response, MOST_BYTES_OF_AN_ANSWER))
    return [str(model["id"]) for model in listed["data"]]


class Client(InferenceClient):
    """Asks as InferenceClient asks, but over `session`, whose key is the only one that travels."""

    def __init__(self, session: httpx2.Client, **options: Any) -> None:
        """Take `options` as InferenceClient does; whatever api_key they hold chooses the route and stays here."""
        super().__init__(**options)
        self._session = session
        self.ended = False
        """True once the stream has said that it is whole."""
        self.answered_by: str | None = None
        """The company that Hugging Face's router has asked, once it says so."""

    def _inner_post(self, request_parameters: RequestParameters, *, stream: bool = False) -> bytes | Iterable[str]:  # type: ignore[override]
        """Send what the library has prepared; an answer that comes as a whole becomes a stream of one piece."""
        asked = self._session.stream(
            "POST", request_parameters.url, json=request_parameters.json, headers=request_parameters.headers
        )
        response = self.exit_stack.enter_context(asked)
        self.answered_by = response.headers.get("x-inference-provider")
        kind = response.headers.get("content-type", "")
        known = not kind or "event-stream" in kind or "json" in kind
        if response.status_code != httpx2.codes.OK or not known:
            raise RefusedError(response)
        if "json" not in kind:
            return self._lines(response)
        self.ended = True
        whole = _read(response, MOST_BYTES_OF_AN_ANSWER)
        return [f"data: {json.dumps(_as_piece(json.loads(whole)))}"] if stream else whole

    def _lines(self, response: httpx2.Response) -> Iterator[str]:
        r"""Cut at \n alone: a text may hold signs that Python takes for line ends."""
        rest = b""
        for part in response.iter_bytes():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield self._line(line)
            if len(rest) > MOST_BYTES_OF_AN_ANSWER:
                raise ValueError("a line without an end")
        last = self._line(rest)
        if last.endswith(("]", "}")):  # else it broke off in here
            yield last

    def _line(self, raw: bytes) -> str:
        line = raw.decode(errors="replace").strip()
        if line.startswith("data:") and line[5:].strip() == "[DONE]":
            self.ended = True
            return "data: [DONE]"  # some servers leave the blank out, and the library insists on it
        return line


def _as_piece(whole: Any) -> Any:
    """Write a whole answer as a stream would bring it."""
    if isinstance(whole, dict) and isinstance(whole.get("choices"), list):
        whole["choices"] = [{**one, "delta": one.get("message")} for one in whole["choices"]]
    return whole


def _read(response: httpx2.Response, most: int) -> bytes:
    content = b""
    for part in response.iter_bytes():
        content += part
        if len(content) > most:
            break
    return content[:most]
