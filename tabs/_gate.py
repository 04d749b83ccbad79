"""What may knock at the door: no posts from foreign pages, no guessing of passwords at machine speed.

Gradio reflects any Origin on hosts other than localhost, cookies included, and answers some 400 log-ins a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.settings import LOOPBACK
from core.words import say

LOGINS_A_MINUTE = 20
"""For all visitors together: behind a share link they come from one address."""

SHARE_DOMAIN = ".gradio.live"
"""Where share links live; their tunnel passes the Host on, and this is for one that would not."""


@dataclass(frozen=True)
class Door:
    """Under which names a browser may know this instance, beside the Host that it asks."""

    public_host: str = ""
    """The name that a proxy stands for, set by whoever runs the proxy: no request can set it."""
    tunnel: bool = False
    """A share link leads here."""
    loopback: bool = False
    """Only this machine may ask: any other Host is a foreign page whose name was made to point here."""

    def knows(self, host: str) -> bool:
        """Tell whether a request for `host` may be meant for us."""
        return not self.loopback or _name(host) in LOOPBACK

    def is_own(self, origin: str, host: str) -> bool:
        """Tell whether a page of `origin` is ours, where the request asks `host`."""
        own = origin.partition("://")[2]
        if own and own in {host, self.public_host}:
            return True
        return self.tunnel and own.endswith(SHARE_DOMAIN) and not host.endswith(SHARE_DOMAIN)


class SameOrigin:
    """ASGI middleware that refuses what a browser sends for another host's page; clients without Origin pass."""

    def __init__(self, app: ASGIApp, door: Door = Door()) -> None:
        """Wrap the application."""
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compare Origin with Host: a foreign page may set any header but these two."""
        if scope["type"] == "http" and self._is_foreign(scope):
            await PlainTextResponse(str(say("error.foreign_page")), 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if not self._door.knows(host):
            return True
        return scope["method"] not in {"GET", "HEAD"} and origin is not None and not self._door.is_own(origin, host)


def outermost(door: Door) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that puts the gate before Gradio's own, which answers every preflight with yes."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = SameOrigin(app.middleware_stack, door)
        yield

    return lifespan


def _name(host: str) -> str:
    """Return the name in a Host header without its port; "" where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_login(scope: Scope) -> bool:
    return bool(scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login"))


class LoginLimit:
    """ASGI middleware that lets LOGINS_A_MINUTE tries through; the rest are told to wait."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application; the bucket starts full."""
        self._app = app
        self._lock = threading.Lock()
        self._tries = float(LOGINS_A_MINUTE)
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count posts to /login only."""
        if _is_login(scope) and not self._take():
            await PlainTextResponse(str(say("error.too_many_logins")), 429)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _take(self) -> bool:
        with self._lock:
            now = time.monotonic()
            refilled = self._tries + (now - self._last) * LOGINS_A_MINUTE / 60
            self._tries, self._last = min(float(LOGINS_A_MINUTE), refilled), now
            if self._tries < 1:
                return False
            self._tries -= 1
            return True
