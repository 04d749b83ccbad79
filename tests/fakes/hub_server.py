"""A Hub in miniature: a real HTTP server on the loopback that speaks what huggingface_hub 2.4 asks.

Large files (see `is_large`) are answered as the Hub does: a redirect from /resolve/ to another host name (localhost
instead of 127.0.0.1) that stands for the content network and must never see a token.

    with FakeHub() as hub:
        hub.add("org/name", folder)
        Hub(endpoint=hub.endpoint, cache=tmp_path).look_up("org/name")
        assert hub.asked("GET", "model.safetensors") == []
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.hub_content import FakeRepository, Request, Trouble, git_hash, is_large


class FakeHub:
    """Serve repositories from folders; entering it starts the server and lifts huggingface_hub's offline mode."""

    def __init__(self, tokens: tuple[str, ...] = ()) -> None:
        """Know these tokens as valid; gated and private repositories open to `allowed` ones only."""
        self.repositories: dict[str, FakeRepository] = {}
        self.requests: list[Request] = []
        self.tokens = set(tokens)
        self.allowed: set[str] = set()
        self.troubles: dict[str, list[Trouble]] = {}
        self.refusals: list[tuple[int, bytes, Mapping[str, str]]] = []
        self.always: tuple[int, bytes, Mapping[str, str]] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._was_offline = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    @property
    def endpoint(self) -> str:
        """The address to give to `Hub`."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start serving."""
        from huggingface_hub import close_session, constants

        close_session()
        self._was_offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving, and put the offline mode back."""
        from huggingface_hub import close_session, constants

        for trouble in (trouble for queue in self.troubles.values() for trouble in queue):
            if trouble.hold:
                trouble.hold.set()
        constants.HF_HUB_OFFLINE = self._was_offline
        close_session()
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        repo_id: str,
        folder: Path,
        *,
        revision: str = "main",
        gated: bool = False,
        private: bool = False,
        **description: Any,
    ) -> str:
        """Offer `folder` under `repo_id`; `description` adds fields to the API answer. Returns the commit."""
        content = "".join(f"{path}{path.stat().st_size}" for path in sorted(folder.rglob("*")))
        commit = hashlib.sha1(f"{repo_id}{revision}{content}".encode()).hexdigest()  # noqa: S324 as git does
        known = self.repositories.get(repo_id)
        if known:
            known.revisions[revision] = commit
            known.commits.add(commit)
            known.folders[commit] = folder
        else:
            self.repositories[repo_id] = FakeRepository(
                folder, {revision: commit}, gated, private, description, {commit}
            )
        return commit

    def request_pull(self, repo_id: str, folder: Path, number: int, title: str, author: str) -> str:
        """Offer `folder` as an open pull request of `repo_id`; returns its commit."""
        commit = self.add(repo_id, folder, revision=f"refs/pr/{number}")
        self.repositories[repo_id].discussions.append(
            {
                "title": title,
                "num": number,
                "author": {"name": author},
                "createdAt": "2023-03-01T00:00:00.000Z",
                "status": "open",
                "repo": {"name": repo_id, "type": "model"},
                "isPullRequest": True,
            }
        )
        return commit

    def cut(self, name: str, after: int, times: int | None = 1) -> None:
        """Break the connection after `after` bytes of each answer for `name`; the next call takes over after it."""
        self._trouble(name, Trouble("cut", times, after))

    def corrupt(self, name: str, times: int | None = None) -> None:
        """Send other bytes of the same length."""
        self._trouble(name, Trouble("corrupt", times))

    def ignore_range(self, name: str) -> None:
        """Answer 200 with everything, whatever was asked."""
        self._trouble(name, Trouble("ignore_range", None))

    def hold(self, name: str, after: int) -> threading.Event:
        """Send `after` bytes of `name`, then nothing until the returned event is set."""
        event = threading.Event()
        self._trouble(name, Trouble("hold", 1, after, event))
        return event

    def refuse(
        self, status: int, times: int | None = 1, body: bytes = b'{"error": "as scripted"}', **headers: str
    ) -> None:
        """Answer the next `times` requests (None = all) with `status`; `Retry_After="7"` becomes a header."""
        answer = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        if times is None:
            self.always = answer
        else:
            self.refusals.extend([answer] * times)

    def _trouble(self, name: str, trouble: Trouble) -> None:
        self.troubles.setdefault(name, []).append(trouble)

    def next_trouble(self, name: str) -> Trouble | None:
        """Use up one occurrence of what is to go wrong with `name`, first in, first out."""
        return next((trouble for trouble in self.troubles.get(name, ()) if trouble.happens()), None)

    def recover(self) -> None:
        """End every trouble."""
        self.troubles.clear()
        self.refusals.clear()
        self.always = None

    def asked(self, method: str, name: str) -> list[Request]:
        """Return the requests of this method for this file that reached the content (not the redirects to it)."""
        ends = (f"/content/{name}",) if is_large(name) and method == "GET" else (f"/{name}",)
        return [
            request
            for request in self.requests
            if request.method == method and urlsplit(request.path).path.endswith(ends)
        ]


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay silent; `FakeHub.requests` is the log."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST: what it says in its body is not looked at."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer()

    def _answer(self) -> None:
        self.hub.requests.append(
            Request(self.command, self.path, self.headers["Range"], self.headers["Host"], self.headers["Authorization"])
        )
        refusal = self.hub.refusals.pop(0) if self.hub.refusals else self.hub.always
        if refusal:
            self._send(*refusal)
            return
        path = unquote(urlsplit(self.path).path)
        for pattern, answer in (
            (r"/api/(datasets/.+?)/tree/([^/]+)(?:/.*)?", self._list),
            (r"/api/(datasets/.+?)/paths-info/(.+)", self._list),
            (r"/api/(datasets/.+?)(?:/revision/(.+))?", self._describe),
            (r"/api/models/(.+?)/tree/([^/]+)", self._list),
            (r"/api/models/(.+?)/discussions", self._discuss),
            (r"/api/models/(.+?)(?:/revision/(.+))?", self._describe),
            (r"/(.+?)/resolve/(.+?)/(.+)", self._resolve),
            (r"/(.+?)/content/(.+)", self._content),
        ):
            if match := re.fullmatch(pattern, path):
                answer(*match.groups())
                return
        self._refuse(404, "RepoNotFound")

    def _describe(self, repo_id: str, revision: str | None) -> None:
        repository = self._repository(repo_id)
        if not repository:
            return
        commit = repository.commit_of(revision or "main")
        if not commit:
            self._refuse(404, "RevisionNotFound")
            return
        repository = repository.at(commit)
        answer = {
            "id": repo_id,
            "sha": commit,
            "private": repository.private,
            "gated": "manual" if repository.gated else False,
            "library_name": "transformers",
            "tags": [],
            "siblings": [repository.sibling(name, blobs="blobs=" in self.path) for name in repository.names()],
            **repository.description,
        }
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _discuss(self, repo_id: str) -> None:
        """List discussions; `author` filters them, as on the Hub."""
        repository = self._repository(repo_id)
        if not repository:
            return
        author = parse_qs(urlsplit(self.path).query).get("author", [None])[0]
        found = [one for one in repository.discussions if author in (None, one["author"]["name"])]
        answer = {"discussions": found, "count": len(found), "start": 0}
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _list(self, repo_id: str, revision: str) -> None:
        repository = self._repository(repo_id)
        if not repository:
            return
        commit = repository.commit_of(revision)
        if not commit:
            self._refuse(404, "RevisionNotFound")
            return
        repository = repository.at(commit)
        entries = [repository.entry(name) for name in repository.names()]
        self._send(200, json.dumps(entries).encode(), {"Content-Type": "application/json"})

    def _resolve(self, repo_id: str, revision: str, name: str) -> None:
        repository = self._repository(repo_id, content=True)
        if not repository:
            return
        commit = repository.commit_of(revision)
        repository = repository.at(commit or "")
        if not commit:
            self._refuse(404, "RevisionNotFound")
        elif name not in repository.names():
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        elif is_large(name):
            self._redirect(repo_id, name, commit, (repository.folder / name).read_bytes())
        else:
            content = (repository.folder / name).read_bytes()
            self._send_content(content, name, {"ETag": f'"{git_hash(content)}"', "X-Repo-Commit": commit})

    def _redirect(self, repo_id: str, name: str, commit: str, content: bytes) -> None:
        self._send(
            302,
            b"",
            {
                "Location": f"http://localhost:{self.hub.port}/{repo_id}/content/{name}?signature=x",
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
            },
        )

    def _content(self, repo_id: str, name: str) -> None:
        content = (self.hub.repositories[repo_id].holding(name) / name).read_bytes()
        self._send_content(content, name, {})

    def _repository(self, repo_id: str, *, content: bool = False) -> FakeRepository | None:
        """Return the repository, or answer why not: the Hub hides private ones, and gates only the content."""
        given = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        if given and given not in self.hub.tokens:
            self._send(401, b'{"error": "Invalid credentials in Authorization header"}', {})
            return None
        repository = self.hub.repositories.get(repo_id)
        permitted = given in self.hub.allowed
        if not repository or (repository.private and not permitted):
            self._refuse(404 if given else 401, "RepoNotFound")
            return None
        if content and repository.gated and not permitted:
            self._refuse(403 if given else 401, "GatedRepo")
            return None
        return repository

    def _send_content(self, content: bytes, name: str, headers: Mapping[str, str]) -> None:
        trouble = self.hub.next_trouble(name) if self.command == "GET" else None
        kind = trouble.kind if trouble else ""
        if kind == "corrupt":
            content = bytes(byte ^ 0xFF for byte in content)
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        status, extra = 200, {"Accept-Ranges": "bytes", **headers}
        if span and kind != "ignore_range":
            first, last = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
            if first >= len(content):
                self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            status, extra["Content-Range"] = 206, f"bytes {first}-{last}/{len(content)}"
            content = content[first : last + 1]
        if trouble and kind in {"cut", "hold"}:
            self._send_broken(status, content, extra, trouble)
        else:
            self._send(status, content, extra)

    def _send_broken(self, status: int, content: bytes, headers: Mapping[str, str], trouble: Trouble) -> None:
        self._send(status, content, headers, only=content[: trouble.after])
        self.wfile.flush()
        if trouble.hold:
            trouble.hold.wait(30)
        self.close_connection = True

    def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps({"error": code}).encode(), {"X-Error-Code": code, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], only: bytes | None = None) -> None:
        """Answer with `body`; `only` sends part of it under the length of the whole. A client that left is no error."""
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body if only is None else only)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
