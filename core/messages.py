"""What is said in a conversation: messages with a role, as every chat template and chat server reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import InvalidInput

ROLES = ("system", "user", "assistant")
MOST_MESSAGES = 500
"""Of a history that comes with a request; a conversation that is kept here has no end."""
MOST_CHARACTERS = 400_000
"""Of all its messages together."""
OPEN_THINKING, CLOSE_THINKING = "<think>", "</think>"
"""How models write what they think before they answer."""


@dataclass(frozen=True)
class Message:
    """One thing said by one of ROLES."""

    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        """Return it as OpenAI's protocol and transformers' templates write it."""
        return {"role": self.role, "content": self.content}


def as_dicts(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Return messages as a JSON list of {role, content}."""
    return [message.as_dict() for message in messages]


def read_messages(value: Any) -> tuple[Message, ...]:
    """Read a list of {role, content}, or its JSON; whatever else is in a message is left out.

    Raises InvalidInput that names the place of the first message that is none, or the limit that was broken.
    """
    found = _listed(value)
    if len(found) > MOST_MESSAGES:
        raise InvalidInput("error.history_too_many", count=len(found), limit=MOST_MESSAGES)
    messages = tuple(_message(one, place) for place, one in enumerate(found, 1))
    length = sum(len(message.content) for message in messages)
    if length > MOST_CHARACTERS:
        raise InvalidInput("error.history_too_long", length=length, limit=MOST_CHARACTERS)
    return messages


def first_that_fits(messages: Sequence[Message]) -> int:
    """Return the place from which on messages keep both limits; there the user begins, or everything does."""
    first, length = len(messages), 0
    for place in range(len(messages) - 1, max(len(messages) - MOST_MESSAGES, 0) - 1, -1):
        length += len(messages[place].content)
        if length > MOST_CHARACTERS:
            break
        first = place if place == 0 or messages[place].role == "user" else first
    return first


def joined(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Put neighbours of the same role together and leave empty ones out: most templates want the roles to alternate."""
    whole: list[Message] = []
    for message in messages:
        if not message.content.strip():
            continue
        if whole and whole[-1].role == message.role:
            whole[-1] = replace(whole[-1], content=f"{whole[-1].content}\n\n{message.content}")
        else:
            whole.append(message)
    return tuple(whole)


def _listed(value: Any) -> Sequence[Any]:
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as problem:
            raise InvalidInput("error.history_no_list") from problem
    if not isinstance(value, list | tuple):
        raise InvalidInput("error.history_no_list")
    return _unwrapped(value)


def _unwrapped(value: Sequence[Any]) -> Sequence[Any]:
    """Return the messages inside an answer of ours, or of the transformers pipeline: [{"generated_text": [...]}]."""
    first = value[0] if len(value) == 1 else None
    inside = first.get("generated_text") if isinstance(first, Mapping) else None
    return inside if isinstance(inside, list | tuple) else value


def _message(value: Any, place: int) -> Message:
    role = value.get("role") if isinstance(value, Mapping) else None
    content = _text(value.get("content")) if isinstance(value, Mapping) else None
    if role not in ROLES or content is None:
        raise InvalidInput("error.history_bad_message", place=place, roles=", ".join(ROLES))
    if role == "system" and place > 1:
        raise InvalidInput("error.history_late_system", place=place)
    return Message(role, content)


def _text(content: Any) -> str | None:
    """Return the text of a content, which may also be a list of parts of text; None if it is anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return None
    parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None
