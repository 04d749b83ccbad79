"""A conversation that is kept goes on: what is said is on disk before it is answered, and so is what was answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.conversations.file import Conversation, Said
from core.conversations.store import Conversations
from core.errors import Cancelled, InvalidInput, UnknownName
from core.events import CancelToken
from core.messages import OPEN_THINKING, Message, as_dicts, first_that_fits
from core.models.registry import Registry
from core.tasks.text.chat import ChatSettings, Reply, Told, chat
from core.tasks.text.encoder import Lane

NEW_SEED = -1


Place = Callable[[Conversation], int]
"""Finds a message in the conversation as it is; raises InvalidInput if it is no longer there."""


@dataclass(frozen=True)
class Question:
    """A conversation that waits for an answer: its last message is the user's."""

    conversation: Conversation
    settings: ChatSettings
    unread: int
    """How many of the oldest messages are not even offered to the model, for there are more than a request may hold."""


@dataclass(frozen=True)
class Turn:
    """Something that is to be said in a conversation, once nobody else writes to it."""

    id: str
    begun: Conversation | None
    """A new conversation, not kept yet; None if one that is kept goes on."""
    ask: Callable[[Conversation], Question]
    """Says it in the conversation as it is then; raises InvalidInput if that makes no sense (any more)."""


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
        begun = None if id else self.store.begin(self.owner, message)
        return Turn(begun.head.id if begun else id, begun, lambda now: _question(now, len(now.said), message, values))

    def edit(self, id: str, place: Place, message: str, values: dict[str, Any]) -> Turn:  # noqa: A002
        """Say the user's message at `place` otherwise; everything after it is cut."""
        return Turn(id, None, lambda now: _question(now, _users(now, place), message, values))

    def retry(self, id: str, place: Place, values: dict[str, Any]) -> Turn:  # noqa: A002
        """Ask the user's message at `place` again, with a new seed."""

        def ask(now: Conversation) -> Question:
            at = _users(now, place)
            return _question(now, at, now.said[at].content, {**values, "seed": NEW_SEED})

        return Turn(id, None, ask)

    def undo(self, id: str, place: Place) -> tuple[Conversation | None, str]:  # noqa: A002
        """Take back the user's message at `place` and what follows; returns what is left, and the message."""
        with self.store.holding(self.owner, id, CancelToken()):
            before = self.store.read(self.owner, id)
            at = _users(before, place)
            if at == 0:
                self.store.drop(self.owner, id)
                return None, before.said[0].content
            head = replace(before.head, left_out=min(before.head.left_out, at))
            shorter = replace(before, head=head, said=before.said[:at])
            return self.store.save(self.owner, shorter), before.said[at].content

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
        with self.store.answering(self.owner, turn.id, cancel) as mine:
            before = turn.begun or self.store.read(self.owner, turn.id)
            question = turn.ask(before)
            now = (self.store.keep if turn.begun else self.store.save)(self.owner, question.conversation)
            try:
                began(now)
                reply = chat(question.settings, registry, replace(lane, cancel=cancel), told)
            except Cancelled:
                raise
            except BaseException:
                self._take_back(turn, before)
                raise
            mine.outcome = answered = self._answered(now, question, reply)
            return answered

    def _take_back(self, turn: Turn, before: Conversation) -> None:
        """Leave the conversation as it was before the turn; one that was deleted meanwhile stays deleted."""
        with suppress(UnknownName):
            if turn.begun:
                self.store.drop(self.owner, turn.id)
            else:
                self.store.save(self.owner, before)

    def _answered(self, now: Conversation, question: Question, reply: Reply) -> Answered:
        answer = Said(
            role="assistant",
            content=reply.text,
            model=reply.provenance.model,
            seed=reply.provenance.seed,
            reason=reply.reason,
            opens_thinking=reply.opens_thinking,
        )
        head = replace(now.head, left_out=question.unread + reply.left_out)
        kept = self.store.save(self.owner, replace(now, head=head, said=(*now.said, answer)))
        return Answered(kept, question.settings, reply)


def _users(conversation: Conversation, place: Place) -> int:
    """Return the place if the user says something there; raises InvalidInput if not."""
    at, said = place(conversation), conversation.said
    if not 0 <= at < len(said) or said[at].role != "user":
        raise InvalidInput("error.conversation_changed")
    return at


def _question(now: Conversation, place: int, message: str, values: dict[str, Any]) -> Question:
    """Say a message at a place of the conversation; what stood there and behind it is cut."""
    before = now.said[:place]
    messages = [_as_written(one) for one in before]
    first = first_that_fits(messages)
    settings = ChatSettings(message=message, history=as_dicts(messages[first:]), **values)
    head = replace(now.head, model=settings.model, left_out=min(now.head.left_out, place))
    said = (*before, Said("user", message))
    return Question(Conversation(head, settings.system_prompt, said), settings, first)


def _as_written(said: Said) -> Message:
    """Return a message; an answer that began inside <think> gets the tag back, which stood in its prompt."""
    return Message(said.role, OPEN_THINKING + said.content) if said.opens_thinking else said.message
