"""What may knock at the door: no posts from foreign pages, no guessing of passwords at machine speed.

Gradio reflects any Origin on hosts other than localhost, cookies included, and answers some 400 log-ins a second.
"""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.words import say

LOGINS_A_MINUTE = 20
"""For all visitors together: behind a share link they come from one address."""


class SameOrigin:
    """ASGI middleware that refuses a browser's post from a page of another host; clients without Origin pass."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compare Origin with Host (or with what a proxy says the host was)."""
        if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"} and _is_foreign(scope):
            await PlainTextResponse(str(say("error.foreign_page")), 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin = headers.get(b"origin")
    if origin is None:
        return False
    hosts = {headers.get(name) for name in (b"host", b"x-forwarded-host")}
    return urlsplit(origin).netloc not in hosts


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
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login"):
            if not self._take():
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
