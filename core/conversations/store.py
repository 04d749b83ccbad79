"""Conversations that are kept: each belongs to one visitor, whose secret is on disk as a digest only."""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.conversations.file import (
    SUFFIX,
    Conversation,
    Head,
    read_conversation,
    read_head,
    title_of,
    write_conversation,
)
from core.conversations.room import Room, changed_at, kept_in, size_of
from core.errors import Busy, DiskFull, InvalidInput, UnknownName
from core.events import CancelToken
from core.jobs.shelf import DAY_SECONDS, LEFTOVER_SECONDS, is_job_id
from core.jobs.views import digest
from core.words import in_bytes

SWEEP_SECONDS = 6 * 3_600.0
"""How often, at most, old conversations are looked for: whenever a new one begins."""
OPENED = "opened"
"""The file that holds the id of the conversation that a visitor looked at last."""


@dataclass(frozen=True)
class Quota:
    """How much is kept: of one visitor, of all together, and how long without a change."""

    conversations: int = 300
    """Of one visitor."""
    visitor_bytes: int = 50_000_000
    all_bytes: int = 2_000_000_000
    """Beyond it, the oldest conversations of those who keep most give way."""
    keep_days: float = 365


@dataclass(eq=False)
class Answering:
    """An answer that is being written; whoever writes it may leave something for the one who stops it."""

    cancel: CancelToken
    outcome: Any = None
    over: threading.Event = field(default_factory=threading.Event)


class Conversations:
    """All conversations below one folder, a folder for each visitor.

    Another visitor's conversation, one that never was and a malformed id are the same UnknownName.
    """

    def __init__(self, folder: Path, quota: Quota | None = None) -> None:
        """Use `folder`, created with the first conversation."""
        self._folder = folder
        self._quota = quota or Quota()
        self._lock = threading.Lock()
        self._room = Room(folder)
        self._answering: dict[Path, Answering] = {}
        self._told: set[Path] = set()
        self._swept = float("-inf")

    def heads(self, owner: str) -> list[Head]:
        """Return this owner's conversations, last changed first; what cannot be read is left out."""
        heads = (self._readable(path) for path in self._paths(owner))
        return sorted(filter(None, heads), key=lambda head: head.changed, reverse=True)

    def read(self, owner: str, id: str) -> Conversation:  # noqa: A002
        """Return a conversation; raises UnknownName, or InvalidInput if its file is damaged."""
        path = self._path(owner, id)
        try:
            return read_conversation(path)
        except FileNotFoundError:
            raise UnknownName("error.conversation_unknown") from None
        except (OSError, ValueError) as problem:
            self._tell(path, problem)
            raise InvalidInput("error.conversation_damaged") from problem

    def latest(self, owner: str) -> Conversation | None:
        """Return the conversation that this owner looked at last, None if that was none, or it cannot be read."""
        with suppress(UnknownName, InvalidInput, OSError):
            return self.read(owner, (self._home(owner) / OPENED).read_text(encoding="utf-8"))
        return None

    def look_at(self, owner: str, id: str) -> None:  # noqa: A002
        """Remember that this conversation ("" = a new one) is what this owner looks at."""
        home = self._home(owner)
        if home.is_dir():
            with suppress(OSError):  # what is lost is a convenience
                (home / OPENED).write_text(id if is_job_id(id) else "", encoding="utf-8")

    def begin(self, owner: str, first_message: str) -> Conversation:
        """Return a new conversation with nothing said, not kept yet; raises InvalidInput if this owner has too many."""
        self._sweep_now_and_then()
        self._require_fewer(owner)
        now = time.time()
        return Conversation(Head(uuid.uuid4().hex, title_of(first_message), now, now))

    def keep(self, owner: str, conversation: Conversation) -> Conversation:
        """Write a conversation for the first time, and return it; raises DiskFull, or InvalidInput as `begin`."""
        with self._lock:
            self._require_fewer(owner)  # many may have begun at once
            return self._write(owner, conversation)

    def save(self, owner: str, conversation: Conversation) -> Conversation:
        """Write a conversation as it is now, but for its title, and return it; raises UnknownName if it was deleted."""
        with self._lock:
            known = self._readable(self._path(owner, conversation.head.id))
            if known is None:
                raise UnknownName("error.conversation_unknown")
            return self._write(owner, replace(conversation, head=replace(conversation.head, title=known.title)))

    def rename(self, owner: str, id: str, title: str) -> None:  # noqa: A002
        """Give a conversation another title; raises InvalidInput for an empty one."""
        if not title.strip():
            raise InvalidInput("error.title_empty")
        with self._lock:
            found = self.read(owner, id)
            self._write(owner, replace(found, head=replace(found.head, title=title_of(title))))

    def delete(self, owner: str, id: str) -> None:  # noqa: A002
        """Remove a conversation, damaged or not; an answer that is being written to it is stopped first."""
        self.stop(owner, id)
        self.drop(owner, id)

    def drop(self, owner: str, id: str) -> None:  # noqa: A002
        """Remove a conversation, whoever writes to it; raises UnknownName if it is not there."""
        with self._lock:
            if not self._remove(self._path(owner, id)):
                raise UnknownName("error.conversation_unknown")

    @contextmanager
    def answering(self, owner: str, id: str, cancel: CancelToken) -> Iterator[Answering]:  # noqa: A002
        """Hold a conversation while its answer is written; raises Busy if another page is at it.

        Raises InvalidInput, with the numbers, if this owner keeps too much.
        """
        self._require_room(owner)
        with self.holding(owner, id, cancel) as mine:
            yield mine

    @contextmanager
    def holding(self, owner: str, id: str, cancel: CancelToken) -> Iterator[Answering]:  # noqa: A002
        """Hold a conversation while it is changed: what is read meanwhile is what will be changed; raises Busy."""
        path, mine = self._path(owner, id), Answering(cancel)
        with self._lock:
            if path in self._answering:
                raise Busy("error.conversation_busy")
            self._answering[path] = mine
        try:
            yield mine
        finally:
            with self._lock:
                del self._answering[path]
            mine.over.set()

    def stop(self, owner: str, id: str, seconds: float = 10.0) -> Answering | None:  # noqa: A002
        """Stop the answer that is being written, and wait until what was written is kept; None if there is none."""
        found = self._current(owner, id)
        if found:
            found.cancel.cancel()
            found.over.wait(seconds)
        return found

    def settle(self, owner: str, id: str, seconds: float) -> None:  # noqa: A002
        """Wait a moment for an answer to end: that of a page which was just left is kept soon."""
        if found := self._current(owner, id):
            found.over.wait(seconds)

    def shutdown(self, seconds: float = 5.0) -> bool:
        """Stop every answer, and wait until what was written is kept; tells whether all of them were."""
        with self._lock:
            running = list(self._answering.values())
        for one in running:
            one.cancel.cancel()
        end = time.monotonic() + seconds
        return all(one.over.wait(max(end - time.monotonic(), 0)) for one in running)

    def sweep(self) -> int:
        """Remove what nobody changed for too long, then what is beyond the quota; returns how many."""
        self._clear_leftovers()
        oldest = time.time() - self._quota.keep_days * DAY_SECONDS
        removed = sum(self._remove_old(path, oldest) for path in list(self._room.paths()))
        with self._lock:
            return removed + self._make_room()

    def _remove_old(self, path: Path, oldest: float) -> bool:
        with self._lock:
            return changed_at(path) < oldest and path not in self._answering and self._remove(path)

    def _remove(self, path: Path) -> bool:
        """Remove a conversation, under the lock; False if it is not there."""
        size = size_of(path)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        self._room.changed(path.parent, -size)
        return True

    def _make_room(self, own: Path | None = None) -> int:
        """Remove, under the lock, what is beyond the quota, of whoever keeps more than `own`; returns how many.

        Those who keep most lose their oldest first: many new visitors with a little each take nobody's little away.
        """
        removed = 0
        while self._room.total > self._quota.all_bytes and (path := self._oldest_of_the_largest(own)):
            removed += self._remove(path)
        if removed:
            limit = in_bytes(self._quota.all_bytes)
            logging.getLogger(__name__).warning("removed %d conversations: all took more than %s", removed, limit)
        return removed

    def _oldest_of_the_largest(self, own: Path | None) -> Path | None:
        for home in self._room.largest_first():
            if own and self._room.of(home) <= self._room.of(own):
                return None
            idle = [path for path in kept_in(home) if path not in self._answering]
            if idle:
                return min(idle, key=changed_at)
        return None

    def _sweep_now_and_then(self) -> None:
        """Sweep in a thread of its own, whose files may be many, unless that was done a while ago."""
        with self._lock:
            due = time.monotonic() - self._swept > SWEEP_SECONDS
            self._swept = time.monotonic() if due else self._swept
        if due:
            threading.Thread(target=self.sweep, name="atelier-sweep", daemon=True).start()

    def _current(self, owner: str, id: str) -> Answering | None:  # noqa: A002
        path = self._path(owner, id)
        with self._lock:
            return self._answering.get(path)

    def _require_fewer(self, owner: str) -> None:
        count, limit = len(self._paths(owner)), self._quota.conversations
        if count >= limit:
            raise InvalidInput("error.too_many_conversations", count=count, limit=limit)

    def _require_room(self, owner: str) -> None:
        """Refuse whoever keeps too much, and if all keep too much whoever keeps most; others get room made for them."""
        home, quota = self._home(owner), self._quota
        with self._lock:
            used = self._room.look_again(home)
            if used > quota.visitor_bytes:
                limit = in_bytes(quota.visitor_bytes)
                raise InvalidInput("error.conversations_too_big", used=in_bytes(used), limit=limit)
            self._make_room(home)
            if (total := self._room.total) > quota.all_bytes:
                limit = in_bytes(quota.all_bytes)
                raise InvalidInput("error.conversations_full", used=in_bytes(total), limit=limit)

    def _write(self, owner: str, conversation: Conversation) -> Conversation:
        path, changed = self._path(owner, conversation.head.id), replace(conversation.head, changed=time.time())
        whole, size = replace(conversation, head=changed), size_of(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_conversation(path, whole)
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            raise DiskFull("error.conversation_not_kept", reason=why) from problem
        self._room.changed(path.parent, size_of(path) - size)
        return whole

    def _home(self, owner: str) -> Path:
        return self._folder / digest(owner)

    def _path(self, owner: str, id: str) -> Path:  # noqa: A002
        if not is_job_id(id):
            raise UnknownName("error.conversation_unknown")
        return self._home(owner) / f"{id}{SUFFIX}"

    def _paths(self, owner: str) -> list[Path]:
        return kept_in(self._home(owner))

    def _readable(self, path: Path) -> Head | None:
        """Return a head, or None for a file that vanished or is damaged; the latter is logged once."""
        try:
            return read_head(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            self._tell(path, problem)
            return None

    def _tell(self, path: Path, problem: Exception) -> None:
        if path not in self._told:
            self._told.add(path)
            name, kind = path.name, type(problem).__name__
            logging.getLogger(__name__).warning("conversation %s cannot be read: %s: %s", name, kind, problem)

    def _clear_leftovers(self) -> None:
        """Remove drafts of writers that died, and the folders of visitors who keep nothing any more."""
        long_ago = time.time() - LEFTOVER_SECONDS
        for draft in self._folder.glob(f"*/.*{SUFFIX}"):
            if changed_at(draft) < long_ago:
                draft.unlink(missing_ok=True)
        for home in self._folder.glob("*"):
            if home.is_dir() and not any(home.glob(f"*{SUFFIX}")) and changed_at(home) < long_ago:
                shutil.rmtree(home, ignore_errors=True)  # the next sweep tries again
