"""Which language a visitor reads, in the page and on the server.

Gradio translates the page in the browser and knows its own locale codes only: zh-HK, zh-MO and plain zh fall back to
English, and its language switch leaves inactive tabs untranslated. So one small script runs before Gradio's: it
settles the language (?lang=, the last choice, the browser's wish), tells Gradio through `navigator.language`, and
tells the server through a cookie, for the sentences that are made there (errors, reasons, results). A Space shows the
page in a frame of another site, where only a partitioned cookie over https is sent.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.i18n import I18nData
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.words import LANGUAGES, dictionary

COOKIE = "atelier_language"
OWN_NAMES = {"en": "English", "zh-TW": "繁體中文", "zh-CN": "简体中文", "ko": "한국어"}
PAGE = "page."

SCRIPT = """<script>(() => {
  const known = %(known)s, cookie = "%(cookie)s";
  const settle = (wish) => {
    if (known.includes(wish)) return wish;
    const low = (wish || "").toLowerCase();
    if (/^zh-(tw|hk|mo|hant)/.test(low)) return "zh-TW";
    if (low.startsWith("zh")) return "zh-CN";
    return known.find((code) => low.split("-")[0] === code) || null;
  };
  let kept = null;
  try { kept = localStorage.getItem(cookie); } catch (_) {}
  const asked = settle(new URLSearchParams(location.search).get("lang"));
  const language = asked || settle(kept) || navigator.languages.map(settle).find(Boolean) || "en";
  if (asked) { try { localStorage.setItem(cookie, asked); } catch (_) {} }
  Object.defineProperty(navigator, "language", { get: () => language });
  Object.defineProperty(navigator, "languages", { get: () => [language] });
  document.documentElement.lang = language;
  const site = location.protocol === "https:" ? "samesite=none; secure; partitioned" : "samesite=lax";
  document.cookie = `${cookie}=${language}; path=/; max-age=31536000; ${site}`;
})();</script>"""


def word(key: str) -> Any:
    """Return the page's word for `key` ("page." is put in front); the browser translates it."""
    return I18nData(PAGE + key)


def page_words() -> gr.I18n:
    """Return the dictionaries that the browser gets: every key that begins with "page."."""
    return gr.I18n(
        **{
            language: {key: text for key, text in dictionary(language).items() if key.startswith(PAGE)}
            for language in LANGUAGES
        }
    )


def language_of(request: gr.Request | None) -> str:
    """Return the visitor's language from the cookie of our script, else from Accept-Language, else English."""
    if request is None:
        return "en"
    chosen: str = dict(request.cookies or {}).get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return accepted_language(dict(request.headers or {}).get("accept-language", ""))


def accepted_language(header: str) -> str:
    """Return the first of our languages in an Accept-Language header, reading zh-HK and zh-MO as zh-TW."""
    for part in header.split(","):
        code = part.split(";")[0].strip().lower()
        if code.startswith(("zh-tw", "zh-hk", "zh-mo", "zh-hant")):
            return "zh-TW"
        if code.startswith("zh"):
            return "zh-CN"
        if code.split("-")[0] in {"ko", "en"}:
            return code.split("-")[0]
    return "en"


def header() -> str:
    """Return the head of the page: its name, and four links that switch the language (a reload: every word follows)."""
    links = (f'<a href="?lang={code}" lang="{code}" hreflang="{code}">{name}</a>' for code, name in OWN_NAMES.items())
    named = f"<nav aria-label='{word('language')}'>"  # the browser's word is JSON: it brings its own double quotes
    return f'<header class="head"><h1>Atelier</h1>{named}{" · ".join(links)}</nav></header>'


class EarlyScript:
    """ASGI middleware that puts our script first in <head>, before Gradio reads the browser's language."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app
        values: Mapping[str, str] = {"known": json.dumps(list(LANGUAGES)), "cookie": COOKIE}
        self._script = (SCRIPT % values).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; change HTML pages only."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(_without_compression(scope), receive, _Inserter(send, self._script, zipped=_takes_gzip(scope)))


class _Inserter:
    """Holds back an HTML answer until it is whole, then sends it with the script in its head, `zipped` if asked for."""

    def __init__(self, send: Send, script: bytes, *, zipped: bool) -> None:
        self._send, self._script, self._zipped = send, script, zipped
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body = self._body.replace(b"<head>", b"<head>" + self._script, 1)
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if self._zipped:  # the page holds its whole configuration: half a megabyte of much the same
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        await self._send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})


def _is_html(message: Message) -> bool:
    headers = {name.lower(): value for name, value in message["headers"]}
    return headers.get(b"content-type", b"").startswith(b"text/html") and b"content-encoding" not in headers


def _takes_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


def _without_compression(scope: Scope) -> Scope:
    """Ask for plain text where a page may come: a compressed one could not be changed."""
    if scope["path"] not in {"", "/"}:
        return scope
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}
