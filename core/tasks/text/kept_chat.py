"""A conversation that is kept goes on: what is said is on disk before it is answered, and so is what was answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.conversation_file import Conversation, Said
from core.conversations import Conversations
from core.errors import Cancelled, InvalidInput, UnknownName
from core.events import CancelToken
from core.registry import Registry
from core.tasks.text.chat import ChatSettings, Reply, Told, chat
from core.tasks.text.encoder import Lane

NEW_SEED = -1


@dataclass(frozen=True)
class Turn:
    """A conversation that waits for an answer: its last message is the user's."""

    before: Conversation | None
    """As it was until now, None if it is new: this is kept if the answer is refused."""
    now: Conversation
    settings: ChatSettings


@dataclass(frozen=True)
class Answered:
    """A conversation with its new answer."""

    conversation: Conversation
    settings: ChatSettings
    reply: Reply


@dataclass(frozen=True)
class Talk:
    """One visitor's conversations, and what can be said in them; `values` are fields of ChatSettings."""

    store: Conversations
    owner: str

    def say(self, id: str, message: str, values: dict[str, Any]) -> Turn:  # noqa: A002
        """Say something new; an empty `id` begins a conversation."""
        before = self.store.read(self.owner, id) if id else None
        return self._turn(before, before.said if before else (), message, values)

    def edit(self, id: str, place: int, message: str, values: dict[str, Any]) -> Turn:  # noqa: A002
        """Say the user's message at `place` otherwise; everything after it is cut."""
        before = self._with_question(id, place)
        return self._turn(before, before.said[:place], message, values)

    def retry(self, id: str, place: int, values: dict[str, Any]) -> Turn:  # noqa: A002
        """Ask the user's message at `place` again, with a new seed."""
        before = self._with_question(id, place)
        return self._turn(before, before.said[:place], before.said[place].content, {**values, "seed": NEW_SEED})

    def undo(self, id: str, place: int) -> tuple[Conversation | None, str]:  # noqa: A002
        """Take back the user's message at `place` and what follows; returns what is left, and the message."""
        before = self._with_question(id, place)
        with self.store.answering(self.owner, id, CancelToken()):
            if place == 0:
                self.store.drop(self.owner, id)
                return None, before.said[0].content
            left_out = min(before.head.left_out, place)
            shorter = replace(before, head=replace(before.head, left_out=left_out), said=before.said[:place])
            return self.store.save(self.owner, shorter), before.said[place].content

    def answer(
        self,
        turn: Turn,
        registry: Registry,
        lane: Lane,
        told: Told | None = None,
        began: Callable[[Conversation], None] = lambda _: None,
    ) -> Answered:
        """Answer a turn, telling `began` once it is kept; a refusal leaves everything as it was.

        Stopped after its first words, an answer is kept as far as it came; stopped before, the question stays without
        one, and Cancelled is raised.
        """
        cancel = lane.cancel or CancelToken()
        with self.store.answering(self.owner, turn.now.head.id, cancel) as mine:
            now = (self.store.save if turn.before else self.store.keep)(self.owner, turn.now)
            try:
                began(now)
                reply = chat(turn.settings, registry, replace(lane, cancel=cancel), told)
            except Cancelled:
                raise
            except BaseException:
                self._take_back(turn)
                raise
            answered = Answered(self._with_answer(now, turn.settings, reply), turn.settings, reply)
            mine.outcome = answered
            return answered

    def _turn(self, before: Conversation | None, said: tuple[Said, ...], message: str, values: dict[str, Any]) -> Turn:
        settings = ChatSettings(message=message, history=[one.message.as_dict() for one in said], **values)
        base = before or self.store.begin(self.owner, message)
        head = replace(base.head, model=settings.model, left_out=min(base.head.left_out, len(said)))
        return Turn(before, Conversation(head, settings.system_prompt, (*said, Said("user", message))), settings)

    def _with_question(self, id: str, place: int) -> Conversation:  # noqa: A002
        """Return the conversation if the user says something at `place`; raises InvalidInput if not."""
        found = self.store.read(self.owner, id)
        if not 0 <= place < len(found.said) or found.said[place].role != "user":
            raise InvalidInput("error.conversation_changed")
        return found

    def _take_back(self, turn: Turn) -> None:
        """Leave the conversation as it was before the turn; one that was deleted meanwhile stays deleted."""
        with suppress(UnknownName):
            if turn.before:
                self.store.save(self.owner, turn.before)
            else:
                self.store.drop(self.owner, turn.now.head.id)

    def _with_answer(self, now: Conversation, settings: ChatSettings, reply: Reply) -> Conversation:
        answer = Said(
            role="assistant",
            content=reply.text,
            model=reply.provenance.model,
            seed=reply.provenance.seed,
            reason=reply.reason,
            opens_thinking=reply.opens_thinking,
        )
        head = replace(now.head, model=settings.model, left_out=reply.left_out)
        return self.store.save(self.owner, replace(now, head=head, said=(*now.said, answer)))
