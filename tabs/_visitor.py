"""Who a visitor is, without asking: a secret in a cookie that page scripts cannot read.

On a Space or behind a share link it keeps visitors' jobs apart; a session's own hash would be lost with a reload.
"""

from __future__ import annotations

import re
import uuid
from http.cookies import SimpleCookie

import gradio as gr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "atelier_visitor"
_SECRET = re.compile(r"[0-9a-f]{32}")


def visitor_of(request: gr.Request) -> str:
    """Return the browser's secret; a client without cookies is known by its session only."""
    found = dict(request.cookies or {}).get(COOKIE, "")
    return found if _SECRET.fullmatch(found) else f"session-{request.session_hash}"


class VisitorCookie:
    """ASGI middleware that gives every browser its secret with the first page."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; add the cookie to a page whose browser has none."""
        if scope["type"] != "http" or scope["path"] not in {"", "/"} or _has_secret(scope):
            await self._app(scope, receive, send)
            return

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={uuid.uuid4().hex}; Path=/; Max-Age=31536000; HttpOnly; {_same_site(scope)}"
                message = {**message, "headers": [*message["headers"], (b"set-cookie", cookie.encode())]}
            await send(message)

        await self._app(scope, receive, with_cookie)


def _same_site(scope: Scope) -> str:
    """Let the cookie into the frame of another site, in which a Space shows us; browsers ask for https there."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    scheme = (headers.get(b"x-forwarded-proto") or scope["scheme"]).split(",")[0].strip()
    return "SameSite=None; Secure; Partitioned" if scheme == "https" else "SameSite=Lax"


def _has_secret(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    return COOKIE in cookies and bool(_SECRET.fullmatch(cookies[COOKIE].value))
