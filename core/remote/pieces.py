"""What the events of a chat server's stream say, in the dialects that servers speak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import RemoteError
from core.remote.errors import Where, harmless


@dataclass(frozen=True)
class Piece:
    """What one event of the stream brought."""

    spoken: bool = False
    """True where it is part of the answer; an event may also bring the server's count alone."""
    text: str = ""
    thought: str = ""
    finish: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    new_tokens: int | None = None
    provider: str | None = None
    """Whom Hugging Face's router has asked."""


def pieces_of(stream: Iterator[Any], where: Where) -> Iterator[Piece]:
    """Read InferenceClient's events; raises RemoteError for what is none of the protocol's."""
    while True:
        try:
            chunk = next(stream, None)
            piece = None if chunk is None else _piece(chunk)
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as problem:
            raise RemoteError("error.remote_garbage", **where.values) from problem
        if piece is None:
            return
        yield piece


def _piece(chunk: Any) -> Piece:
    """Read one event; raises ValueError, TypeError or AttributeError where it is none of the protocol's."""
    choice = chunk.choices[0] if chunk.choices else None
    delta = choice.delta if choice else None
    usage = chunk.usage or {}
    return Piece(
        spoken=choice is not None,
        text=_text(delta.content) if delta else "",
        thought=_text(delta.reasoning or delta.get("reasoning_content")) if delta else "",
        finish=_finish(choice) if choice else None,
        model=_name(chunk.model),
        fingerprint=_name(chunk.system_fingerprint),
        new_tokens=_count(usage.get("completion_tokens")),
    )


def _text(content: Any) -> str:
    """Return the text of a piece; some servers send it in parts of several kinds."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content)
    if content is not None and not isinstance(content, str):
        raise TypeError(type(content))
    return content or ""


def _finish(choice: Any) -> str | None:
    """Return why it ended: vLLM says beside "stop" which string it was, others keep that to themselves."""
    stopped = choice.finish_reason == "stop" and isinstance(choice.get("stop_reason"), str)
    return "stop_sequence" if stopped else _name(choice.finish_reason)


def _name(value: Any) -> str | None:
    return harmless(value) or None if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
