"""One conversation on disk: its head in the first line, a message in each further one; read strictly, written whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from core.jobs.files import written_whole
from core.messages import ROLES, Message

SUFFIX = ".jsonl"
LONGEST_TITLE = 80
LARGEST_NUMBER = 1e15
"""Seconds since 1970 and seeds are smaller; what is larger was never written by us."""


@dataclass(frozen=True)
class Said:
    """One message of a conversation, and for an answer who wrote it and how it ended."""

    role: str
    content: str
    model: str = ""
    seed: int | None = None
    reason: str = ""
    """Why an answer ended (core.tasks.text.chat.Reply)."""
    opens_thinking: bool = False

    @property
    def message(self) -> Message:
        """The message alone."""
        return Message(self.role, self.content)


@dataclass(frozen=True)
class Head:
    """What a list of conversations shows; times in seconds since 1970."""

    id: str
    title: str
    created: float
    changed: float
    model: str = ""
    """The name that the last answer was asked by."""
    left_out: int = 0
    """How many of the oldest messages the last answer did not read."""


@dataclass(frozen=True)
class Conversation:
    """A head, the system prompt, and everything that was said."""

    head: Head
    system_prompt: str = ""
    said: tuple[Said, ...] = ()

    @property
    def messages(self) -> list[dict[str, str]]:
        """What was said as {role, content}, without the system prompt."""
        return [one.message.as_dict() for one in self.said]

    def with_said(self, *said: Said) -> Conversation:
        """Return it with exactly this said."""
        return replace(self, said=said)


def title_of(text: str) -> str:
    """Return a title made of a first message: one line, not too long."""
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_TITLE else f"{words[: LONGEST_TITLE - 1].rstrip()}…"


def write_conversation(path: Path, conversation: Conversation) -> None:
    """Write the file in one step; raises OSError."""
    head = {**asdict(conversation.head), "system_prompt": conversation.system_prompt}
    rows = [head, *(_shortened(one) for one in conversation.said)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with written_whole(path) as draft:
        draft.touch(0o600)
        draft.write_bytes(text.encode(errors="replace"))


def read_head(path: Path) -> Head:
    """Read the first line; raises OSError, or ValueError if it is damaged."""
    with path.open(encoding="utf-8") as file:
        return _head(path, json.loads(file.readline()))


def read_conversation(path: Path) -> Conversation:
    """Read it all; raises OSError, or ValueError if any line is damaged."""
    first, *rest = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    values = json.loads(first)
    head = _head(path, values)
    return Conversation(head, _text(values, "system_prompt"), tuple(_said(json.loads(line)) for line in rest))


def _shortened(said: Said) -> dict[str, Any]:
    """Leave out what says nothing."""
    usual = {field.name: field.default for field in fields(Said)}
    return {name: value for name, value in asdict(said).items() if value != usual[name]}


def _head(path: Path, values: Any) -> Head:
    """Check the head; the file's own name is its id, whatever it says."""
    found = _mapping(values)
    return Head(
        id=path.name.removesuffix(SUFFIX),
        title=_text(found, "title"),
        created=_number(found, "created"),
        changed=_number(found, "changed"),
        model=_text(found, "model"),
        left_out=int(_number(found, "left_out")),
    )


def _said(values: Any) -> Said:
    found = _mapping(values)
    if found.get("role") not in ROLES or not isinstance(found.get("content", ""), str):
        raise ValueError("no message")
    seed = found.get("seed")
    return Said(
        role=found["role"],
        content=found.get("content", ""),
        model=_text(found, "model"),
        seed=int(_number(found, "seed")) if seed is not None else None,
        reason=_text(found, "reason"),
        opens_thinking=found.get("opens_thinking") is True,
    )


def _mapping(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError("no JSON object")  # noqa: TRY004 read_conversation promises ValueError
    return values


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004 the same
    return value


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"{name} is no number")
    return value
