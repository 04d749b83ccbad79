"""What the miniature chat server hears, and how it is told to answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ANSWER = ("Bridges", " carry", " people", " – and 貓", ".")


@dataclass(frozen=True)
class Heard:
    """One request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None


@dataclass
class Turn:
    """How the next conversation goes; what is not said goes well."""

    pieces: Sequence[str] = ANSWER
    thoughts: Sequence[str] = ()
    finish: str | None = None
    """None = "stop" or "length", as the protocol has it."""
    stop_reason: str | None = None
    """What vLLM says beside "stop"."""
    usage: bool = True
    stream: bool = True
    """False = the answer comes as a whole, whatever was asked."""
    raw: bytes | None = None
    """Send this after the headers, and nothing else."""
    content_type: str = "text/event-stream"
    cut_after: int | None = None
    """Break the connection after so many pieces."""
    hold_after: int | None = None
    """Say nothing more after so many pieces (-1 = not even headers) until `go` is set or the client is gone."""
    fail_after: int | None = None
    """Report an error inside the stream after so many pieces."""
    provider: str | None = None
    """Whom the router says that it has asked."""
    pause: float = 0.0
    """Seconds between two pieces."""
    go: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    """Set when it says nothing more."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when the client has closed the connection."""


def said(pieces: Sequence[str], body: Mapping[str, Any]) -> tuple[Sequence[str], str]:
    """Return the pieces up to a stop string or max_tokens, and why they end."""
    most = body.get("max_tokens") or body.get("max_completion_tokens") or len(pieces)
    for number, piece in enumerate(pieces[:most]):
        if any(stop in piece for stop in body.get("stop") or ()):
            return pieces[:number], "stop"
    return pieces[:most], "length" if most < len(pieces) else "stop"


def event(value: Any) -> bytes:
    """Write one event of a stream."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
