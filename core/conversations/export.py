"""A conversation as a file to take away: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from core.conversations.file import Conversation, Said
from core.words import say

LONGEST_NAME = 60


def as_json(conversation: Conversation) -> str:
    """Return title, times and messages; the list of messages is one that /chat takes as its history."""
    system = [{"role": "system", "content": conversation.system_prompt}] if conversation.system_prompt.strip() else []
    head = conversation.head
    content = {
        "title": head.title,
        "created": _time(head.created),
        "changed": _time(head.changed),
        "messages": [*system, *(_message(one) for one in conversation.said)],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def as_markdown(conversation: Conversation, language: str) -> str:
    """Return the conversation with a heading over each message; messages are copied as they are."""
    parts = [f"# {conversation.head.title}", _time(conversation.head.created)]
    if conversation.system_prompt.strip():
        parts += [_heading("system", "", language), conversation.system_prompt]
    for one in conversation.said:
        parts += [_heading(one.role, one.model, language), one.content]
    return "\n\n".join(parts) + "\n"


def file_name(conversation: Conversation, suffix: str) -> str:
    """Return a name for the file made of the title: letters, digits, spaces and dashes of any language."""
    words = re.sub(r"[^\w\- ]+", " ", conversation.head.title)
    return f"{' '.join(words.split())[:LONGEST_NAME].strip() or 'conversation'}{suffix}"


def _message(said: Said) -> dict[str, str | int]:
    told: dict[str, str | int] = {"role": said.role, "content": said.content}
    if said.model:
        told["model"] = said.model
    if said.seed is not None:
        told["seed"] = said.seed
    return told


def _heading(role: str, model: str, language: str) -> str:
    name = say(f"say.role_{role}").in_language(language)
    return f"## {name} ({model})" if model else f"## {name}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
