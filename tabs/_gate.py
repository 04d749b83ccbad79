"""What may knock at the door: no posts from foreign pages, no guessing of passwords at machine speed, no strangers.

Gradio reflects any Origin on hosts other than localhost, cookies included, answers some 400 log-ins a second, and asks
for the password at most of its routes, but not at all of them (/reset, /cancel, /heartbeat, …).
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.settings import LOOPBACK
from core.words import say

LOGINS_A_MINUTE = 20
"""For all visitors together: behind a share link they come from one address."""

LOGIN_PAGE = frozenset(
    {"/", "/login", "/login/", "/favicon.ico", "/manifest.json", "/theme.css", "/gradio_api/theme.css"}
)
"""What a visitor without login may ask, beside the files of LOGIN_PAGE_FILES."""

LOGIN_PAGE_FILES = ("/assets/", "/static/", "/svelte/")
"""Where Gradio's own scripts, styles and fonts lie."""

START = "/gradio_api/startup-events"
"""What Gradio asks itself, without login, when it starts."""

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


class LoginWall:
    """ASGI middleware for an instance with a password: without a login there is the login page, and no other route."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application, inside Gradio's own, whose logins are asked."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass who is logged in, what the login page is made of, and Gradio's own start."""
        if scope["type"] == "lifespan" or _is_login_page(scope) or _is_logged_in(scope) or _is_own_start(scope):
            await self._app(scope, receive, send)
            return
        told = {"error": str(say("error.not_logged_in")), "auth_message": None}  # as Gradio's own pages expect it
        await JSONResponse({"detail": told}, 401)(scope, receive, send)


def _route(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _is_login_page(scope: Scope) -> bool:
    route = _route(scope)
    return scope["type"] == "http" and (route in LOGIN_PAGE or route.startswith(LOGIN_PAGE_FILES))


def _is_logged_in(scope: Scope) -> bool:
    """Tell whether one of Gradio's login cookies (https, http) holds a token that a login has been given."""
    gradio, cookies = scope["app"], HTTPConnection(scope).cookies
    named = (f"access-token-{gradio.cookie_id}", f"access-token-unsecure-{gradio.cookie_id}")
    return any(cookies.get(name) in gradio.tokens for name in named)


def _is_own_start(scope: Scope) -> bool:
    """Tell whether this machine asks itself to start; once started, nobody may."""
    (client, *_), (server, *_) = scope.get("client") or ("",), scope.get("server") or (None,)
    return _route(scope) == START and client == server and not scope["app"].startup_events_triggered
