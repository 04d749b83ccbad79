"""A chat server in miniature: real HTTP on the loopback, in OpenAI's protocol as vLLM, TGI and llama.cpp speak it.

It also plays Hugging Face's router and the page of the Hub that says who serves a model.

    with FakeChatServer() as server:
        spec = Catalogue(Settings()).resolve(server.name(), "chat")
        server.refuse(429, {"error": {"message": "slow down"}}, Retry_After="7")
"""

from __future__ import annotations

import json
import select
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from tests.fakes.chat_script import ANSWER, Heard, Turn, event, said

MODEL = "tiny/chat"
FINGERPRINT = "fp_tiny"
SAFETY_SECONDS = 30.0

__all__ = ["ANSWER", "FINGERPRINT", "MODEL", "FakeChatServer", "Heard", "Turn"]


class FakeChatServer:
    """Serve a few models to whoever has the key, if there is one."""

    def __init__(
        self, *models: str, key: str | None = None, context: int = 1000, tls: ssl.SSLContext | None = None
    ) -> None:
        """Offer these models (one, if none is named), which read so many words; over https with `tls`."""
        self.models = list(models or (MODEL,))
        self.key = key
        self.context = context
        self.heard: list[Heard] = []
        self.providers: dict[str, dict[str, dict[str, str]]] = {}
        """Model → provider → what the Hub says of it; see `serve_by`."""
        self._turns: list[Turn] = []
        self._refusals: list[tuple[int, bytes, Mapping[str, str]]] = []
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))

        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https" if tls else "http"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """Host and port, as keys are given for them."""
        return f"127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """The address that one types before the #."""
        return f"{self._scheme}://{self.host}/v1"

    def name(self, model: str | None = None) -> str:
        """Return the name by which Atelier calls a model here, the first one if none is named."""
        return f"{self.base}#{model or self.models[0]}"

    def __enter__(self) -> Self:
        """Start serving."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving; whoever is held goes on."""
        for turn in self._turns:
            turn.go.set()
        self._server.shutdown()
        self._server.server_close()

    def next(self, **how: Any) -> Turn:
        """Say how the next conversation goes (fields of Turn), after those said before."""
        self._turns.append(turn := Turn(**how))
        return turn

    def refuse(self, status: int, body: Any = "", **headers: str) -> None:
        """Answer the next request with `status`; `Retry_After="7"` becomes a header, a mapping becomes JSON."""
        kind = "application/json" if isinstance(body, dict) else "text/plain"
        content = json.dumps(body).encode() if isinstance(body, dict) else str(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._refusals.append((status, content, {"Content-Type": kind, **named}))

    def serve_by(self, model: str, provider: str, their_name: str, task: str = "conversational") -> None:
        """Let the Hub say that `provider` serves `model` under a name of its own."""
        self.models.append(their_name)
        self.providers.setdefault(model, {})[provider] = {"status": "live", "providerId": their_name, "task": task}

    @property
    def conversations(self) -> list[Heard]:
        """The requests for an answer."""
        return [one for one in self.heard if one.path.endswith("/chat/completions")]

    def take_turn(self) -> Turn:
        """Use up what was said about the next conversation."""
        return self._turns.pop(0) if self._turns else Turn()

    def take_refusal(self) -> tuple[int, bytes, Mapping[str, str]] | None:
        """Use up one refusal."""
        return self._refusals.pop(0) if self._refusals else None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what goes wrong here; a client that left is no error."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeChatServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay silent; `heard` is the log."""

    def do_GET(self) -> None:
        """Answer for the models, or for who serves one."""
        self._hear(None)
        path = urlsplit(self.path).path
        if refusal := self.fake.take_refusal():
            self._send(*refusal)
        elif not self._has_key():
            self._refuse(401, "Invalid or missing API key")
        elif path == "/v1/models":
            self._json({"object": "list", "data": [{"id": name, "object": "model"} for name in self.fake.models]})
        elif path.startswith("/api/models/"):
            self._mapping(path.removeprefix("/api/models/"))
        else:
            self._page(404)

    def do_POST(self) -> None:
        """Answer a conversation."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._hear(body)
        if refusal := self.fake.take_refusal():
            self._send(*refusal)
        elif not self._has_key():
            self._refuse(401, "Invalid or missing API key")
        elif not self.path.endswith("/v1/chat/completions"):
            self._page(404)
        elif body["model"].partition(":")[0] not in self.fake.models and body["model"] not in self.fake.models:
            self._refuse(404, f"The model `{body['model']}` does not exist.")
        else:
            self._converse(body)

    def _hear(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.heard.append(Heard(self.command, self.path, headers, body))

    def _has_key(self) -> bool:
        return self.fake.key is None or self.headers["Authorization"] == f"Bearer {self.fake.key}"

    def _mapping(self, model: str) -> None:
        if model in self.fake.providers:
            mapping = {"inferenceProviderMapping": self.fake.providers[model]}
            self._json({"id": model, "pipeline_tag": "text-generation", "tags": ["conversational"], **mapping})
        else:
            body = json.dumps({"error": "Repository not found"}).encode()
            self._send(404, body, {"X-Error-Code": "RepoNotFound", "Content-Type": "application/json"})

    def _converse(self, body: Mapping[str, Any]) -> None:
        turn, read = self.fake.take_turn(), sum(len(one["content"].split()) for one in body["messages"])
        asked = body.get("max_tokens") or 0
        if read + asked > self.fake.context:
            self._refuse(
                400,
                f"This model's maximum context length is {self.fake.context} tokens. However, you requested "
                f"{read + asked} tokens ({read} in the messages, {asked} in the completion).",
            )
            return
        pieces, finish = said(turn.pieces, body)
        usage = {"prompt_tokens": read, "completion_tokens": len(pieces), "total_tokens": read + len(pieces)}
        ending = {"finish_reason": turn.finish or finish, "stop_reason": turn.stop_reason, "index": 0}
        frame = {"id": "chat-1", "created": 1, "model": body["model"], "system_fingerprint": FINGERPRINT}
        if turn.stream and body.get("stream"):
            counted = turn.usage and (body.get("stream_options") or {}).get("include_usage")
            self._stream(turn, frame, pieces, [ending, usage if counted else None])
            return
        message = {"role": "assistant", "content": "".join(pieces)}
        if turn.thoughts:
            message["reasoning_content"] = "".join(turn.thoughts)
        self._json({**frame, "object": "chat.completion", "choices": [{**ending, "message": message}], "usage": usage})

    def _stream(self, turn: Turn, frame: Mapping[str, Any], pieces: Sequence[str], end: Sequence[Any]) -> None:
        if turn.hold_after == -1 and not self._hold(turn):
            return
        self.send_response(200)
        self.send_header("Content-Type", turn.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        if turn.provider:
            self.send_header("X-Inference-Provider", turn.provider)
        self.end_headers()
        try:
            for number, written in enumerate(self._events(turn, frame, pieces, end)):
                if turn.cut_after == number or (turn.hold_after == number and not self._hold(turn)):
                    self.close_connection = True
                    return
                self._chunk(written)
                time.sleep(turn.pause)
            self._chunk(b"")
        except OSError:
            turn.gone.set()
            self.close_connection = True

    def _events(
        self, turn: Turn, frame: Mapping[str, Any], pieces: Sequence[str], end: Sequence[Any]
    ) -> Iterator[bytes]:
        """Write what goes over the wire: the pieces first, so that their numbers are those of the events."""
        if turn.raw is not None:
            yield turn.raw
            return
        deltas = [{"reasoning_content": one} for one in turn.thoughts] + [{"content": one} for one in pieces]
        for number, delta in enumerate(deltas):
            if turn.fail_after == number:
                yield event({"error": {"message": "CUDA out of memory", "code": 500}})
                return
            yield event({**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        ending, usage = end
        yield b": keep-alive\n\n" + event({**frame, "choices": [{"delta": {}, **ending}]})
        if usage:
            yield event({**frame, "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def _hold(self, turn: Turn) -> bool:
        """Say nothing until `go`; False if the client leaves before that."""
        turn.held.set()
        end = time.monotonic() + SAFETY_SECONDS
        while not turn.go.wait(0.01) and time.monotonic() < end:
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1):
                turn.gone.set()
                self.close_connection = True
                return False
        return True

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _page(self, status: int) -> None:
        self._send(status, b"<!DOCTYPE html><html>Not here</html>", {"Content-Type": "text/html; charset=utf-8"})

    def _refuse(self, status: int, message: str) -> None:
        """Refuse in vLLM's words."""
        error = {"message": message, "type": "Error", "param": None, "code": status}
        self._send(status, json.dumps({"error": error}).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
