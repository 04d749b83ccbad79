"""The refusals and silences of servers elsewhere, in our words; a server's own words are quoted short and harmless."""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from core.endpoint_keys import VARIABLE
from core.errors import AtelierError, RemoteDenied, RemoteError, RemoteMissing, RemoteTooLong, RemoteUnreachable
from core.hub.errors import Place as HubPlace
from core.hub.errors import translate
from core.redaction import Redactor
from core.remote.lengths import told_length, told_limit
from core.remote.names import ROUTER, Endpoint, Place
from core.words import Sentence, say

if TYPE_CHECKING:
    from core.remote.client import RefusedError

MOST_WORDS = 400
"""Characters quoted of what a server says."""
MOST_NAMES = 20
REDIRECTS = range(300, 400)
BAD_REQUEST, UNAUTHORIZED, PAYMENT, FORBIDDEN, NOT_FOUND, BUSY, SERVER_ERROR = 400, 401, 402, 403, 404, 429, 500

_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)|context_length|exceed_context|max_model_len|`inputs` tokens"
    r"|(prompt|input|conversation).{0,40}too long|too many (input )?tokens|exceeds the maximum number of tokens",
    re.IGNORECASE | re.DOTALL,
)
_NO_SUCH_MODEL = re.compile(
    r"model_not_found|model_not_supported|model.{0,120}(not found|does not exist|doesn't exist|unknown)",
    re.IGNORECASE | re.DOTALL,
)
_QUOTES = {ord("<"): "‹", ord(">"): "›"}  # a dialog may show markup


@dataclass(frozen=True)
class Where:
    """Who was asked for what, whether with a key, and what must never be quoted."""

    place: Place
    model: str
    keyed: bool
    redactor: Redactor = field(default_factory=Redactor)

    @property
    def values(self) -> dict[str, Any]:
        """The values that every sentence here may use."""
        address = self.place.base if isinstance(self.place, Endpoint) else self.place.host
        return {"host": self.place.host, "model": self.model, "address": address}

    @property
    def routed(self) -> bool:
        """True where Hugging Face's router is asked, by whichever name."""
        return self.place.host == ROUTER


def names_no_model(problem: RefusedError) -> bool:
    """Tell whether the server may mean that it has no such model."""
    return problem.status == NOT_FOUND or (problem.status < SERVER_ERROR and bool(_NO_SUCH_MODEL.search(problem.body)))


def unknown_model(names: list[str], where: Where) -> AtelierError:
    """Say which models a server has instead."""
    return RemoteMissing("error.remote_unknown_model", names=listed(names), **where.values)


def listed(names: list[str]) -> Sentence | str:
    """Return names in one line; of very many, the first."""
    shown = ", ".join(harmless(name) for name in names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        return say("say.remote_and_more", names=shown, count=len(names) - MOST_NAMES)
    return shown or say("say.remote_none")


def refusal(problem: RefusedError, where: Where) -> AtelierError:
    """Say what an answer means that is not the one asked for."""
    said = words_of(problem.body, where)
    if problem.status in REDIRECTS:
        return RemoteMissing("error.remote_redirect", target=_target(problem.headers, where), **where.values)
    if denied := _denial(problem, said, where):
        return denied
    if problem.status == BUSY:
        return _busy(problem, said, where)
    if problem.status >= SERVER_ERROR:
        return RemoteUnreachable("error.remote_down", status=problem.status, said=said, **where.values)
    if problem.is_page or problem.status == NOT_FOUND or problem.status < BAD_REQUEST:
        return RemoteMissing("error.remote_not_an_api", **where.values)
    return failure(problem.body, where) or RemoteError(
        "error.remote_refused", status=problem.status, said=said, **where.values
    )


def failure(body: str, where: Where) -> AtelierError | None:
    """Say what the words of a refusal or of an error in the stream mean; None if nothing in particular."""
    if _TOO_LONG.search(body):
        numbers = {"limit": told_limit(body), "length": told_length(body)}
        return RemoteTooLong("error.remote_too_long", said=words_of(body, where), **numbers, **where.values)
    if where.routed and _NO_SUCH_MODEL.search(body):
        return RemoteMissing("error.remote_provider_model", said=words_of(body, where), **where.values)
    return None


def _denial(problem: RefusedError, said: Sentence | str, where: Where) -> AtelierError | None:
    ours = where.routed
    if problem.status == UNAUTHORIZED and not where.keyed:
        if ours:
            return RemoteDenied("error.remote_no_token")
        return RemoteDenied("error.remote_key_missing", variable=VARIABLE, **where.values)
    key = {
        UNAUTHORIZED: "error.remote_token_refused" if ours else "error.remote_key_refused",
        PAYMENT: "error.remote_payment",
        FORBIDDEN: "error.remote_token_forbidden" if ours else "error.remote_forbidden",
    }.get(problem.status)
    return RemoteDenied(key, said=said, variable=VARIABLE, **where.values) if key else None


def _busy(problem: RefusedError, said: Sentence | str, where: Where) -> AtelierError:
    seconds = seconds_to_wait(problem.headers)
    if seconds is None:
        return RemoteUnreachable("error.remote_busy", said=said, **where.values)
    return RemoteUnreachable("error.remote_busy_for", seconds=seconds, said=said, **where.values)


def seconds_to_wait(headers: Mapping[str, str]) -> int | None:
    """Return what Retry-After asks for, which may be seconds or a date; None if it asks for nothing."""
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", asked):
        return math.ceil(float(asked))
    try:
        return max(math.ceil(parsedate_to_datetime(asked).timestamp() - time.time()), 1) if asked else None
    except ValueError:
        return None


def _target(headers: Mapping[str, str], where: Where) -> str:
    """Return where a redirect leads, without the query, which may be signed."""
    return harmless(where.redactor.text(re.split(r"[?#]", headers.get("location", ""))[0])) or "?"


def silence(error: Exception, where: Where) -> AtelierError:
    """Say why no answer came, or why it broke off."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return RemoteUnreachable("error.remote_offline", **where.values)
    if isinstance(error, HfHubHTTPError):  # who serves a model is asked of the Hub
        from huggingface_hub import constants

        return translate(error, HubPlace(where.model, "main", constants.ENDPOINT))
    if isinstance(error, httpx2.ConnectTimeout):
        return RemoteUnreachable("error.remote_no_connection", why="timeout", **where.values)
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError | httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return _no_connection(error, where)
    return RemoteUnreachable("error.remote_broke", **where.values)


def _no_connection(error: Exception, where: Where) -> AtelierError:
    chain = list(_chain(error))
    for kind, key in (
        (socket.gaierror, "error.remote_unknown_host"),
        (ConnectionRefusedError, "error.remote_connection_refused"),
        (ssl.SSLCertVerificationError, "error.remote_certificate"),
        (ssl.SSLError, "error.remote_tls"),
    ):
        if any(isinstance(one, kind) for one in chain):
            return RemoteUnreachable(key, **where.values)
    why = next((one.strerror for one in chain if isinstance(one, OSError) and one.strerror), type(error).__name__)
    return RemoteUnreachable("error.remote_no_connection", why=why, **where.values)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def words_of(body: str, where: Where) -> Sentence | str:
    """Return what the server says, as far as people can read it, in one line."""
    return harmless(where.redactor.text(_told(body))) or say("say.remote_said_nothing")


def _told(body: str) -> str:
    """Find the words in an error of OpenAI's shape, or of TGI's, FastAPI's, llama.cpp's; a page has none."""
    try:
        found = json.loads(body)
    except ValueError:
        return "" if body.lstrip()[:1] == "<" else body
    while isinstance(found, dict | list):
        if isinstance(found, list):
            found = found[0] if found else ""
            continue
        inner = next((found[name] for name in ("error", "message", "detail", "msg", "errors") if found.get(name)), "")
        found = f"{inner}{_numbers(found)}" if isinstance(inner, str) else inner
    return str(found)


def _numbers(found: Mapping[str, Any]) -> str:
    """Return the numbers that llama.cpp gives beside its words."""
    told = [f"{name}: {found[name]}" for name in ("n_prompt_tokens", "n_ctx") if isinstance(found.get(name), int)]
    return f" ({', '.join(told)})" if told else ""


def harmless(text: str) -> str:
    """Return foreign words in one short line without markup or signs that do not print."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()).translate(_QUOTES)
    return line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}…"
