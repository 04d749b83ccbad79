"""What the buttons of the Chat tab do: each handler asks the core, and returns what the page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.conversations.file import Conversation
from core.errors import AtelierError, Cancelled, InvalidInput
from core.snippets import snippets_markdown
from core.tasks.text.chat import TASK, ChatSettings, Reply, chat
from core.tasks.text.encoder import Lane
from core.tasks.text.kept_chat import Answered, Talk, Turn
from tabs._chat_view import as_written, draw, draw_answer, draw_below, draw_files, draw_text, harmless
from tabs._events import Refusal, Visit
from tabs._screen import Outputs

SETTLE_SECONDS = 3.0
"""How long a page waits for an answer to end that was stopped, or whose page was just left."""

SKIP: Any = gr.skip()


@dataclass(frozen=True)
class Screen(Outputs):
    """What the page shows, in the order of its outputs; what is not said stays as it is."""

    conversation: Any = field(default_factory=gr.skip)
    """The messages of gr.Chatbot."""
    message: Any = field(default_factory=gr.skip)
    current: Any = field(default_factory=gr.skip)
    """The id of the open conversation, "" = a new one."""
    conversations: Any = field(default_factory=gr.skip)
    title: Any = field(default_factory=gr.skip)
    system_prompt: Any = field(default_factory=gr.skip)
    model: Any = field(default_factory=gr.skip)
    files: Any = field(default_factory=gr.skip)
    view: Any = field(default_factory=gr.skip)
    snippets: Any = field(default_factory=gr.skip)
    result: Any = field(default_factory=gr.skip)
    provenance: Any = field(default_factory=gr.skip)


NO_ANSWER: dict[str, Any] = {"files": "", "view": "", "snippets": "", "result": None, "provenance": None}
"""How the places of an answer look while there is none."""


@dataclass(frozen=True)
class Desk:
    """All handlers of the tab; `values` are the model, the system prompt and the generation settings, by field."""

    atelier: Atelier

    def chat(self, visit: Visit, message: str, history: Any, **values: Any) -> Any:
        """Answer a message after a history of {role, content}; give the result back as the next history."""
        settings = ChatSettings(message=message, history=history, **values)
        lane, rest = Lane(cancel=visit.cancel, report=visit.report), (SKIP,) * 3
        reply = chat(settings, self.atelier.registry, lane, lambda text: visit.show(lambda: (draw_text(text), *rest)))
        view = draw_text(reply.text, opened=reply.opens_thinking) + draw_below(reply, visit)
        return view, self._code(visit, settings, reply), reply.result, reply.provenance.as_dict()

    def send(self, visit: Visit, conversation: str, message: str, **values: Any) -> Any:
        """Say something, in a new conversation if none is open, and stream the answer."""
        return self._answer(visit, conversation, lambda talk: talk.say(conversation, message, values), message)

    def example(self, visit: Visit, **values: Any) -> Any:
        """Begin a conversation with one of the examples."""
        chosen = visit.told.get("value")
        message = str(chosen.get("text", "")) if isinstance(chosen, Mapping) else ""
        return self._answer(visit, "", lambda talk: talk.say("", message, values), message)

    def retry(self, visit: Visit, conversation: str, **values: Any) -> Any:
        """Answer the last message again, with a new seed."""
        _require_open(conversation)
        place = partial(_place, visit, "value")
        return self._answer(visit, conversation, lambda talk: talk.retry(conversation, place, values))

    def edit(self, visit: Visit, conversation: str, **values: Any) -> Any:
        """Say a message otherwise: what followed it is cut, and it is answered anew."""
        _require_open(conversation)
        place, text = partial(_place, visit, "previous_value"), as_written(str(visit.told.get("value", "")))
        return self._answer(visit, conversation, lambda talk: talk.edit(conversation, place, text, values), text)

    def undo(self, visit: Visit, conversation: str) -> Any:
        """Take the last message back into the box, and its answer away."""
        _require_open(conversation)
        left, message = self._talk(visit).undo(conversation, partial(_place, visit, "value"))
        return self._shown(visit, left, message).values

    def stop(self, visit: Visit, conversation: str) -> Any:
        """Stop the answer within a token; what was written stays."""
        store = self.atelier.conversations
        found = store.stop(visit.visitor, conversation, SETTLE_SECONDS) if conversation else None
        if found and isinstance(found.outcome, Answered):
            return self._answered(visit, found.outcome).values
        return self._as_kept(visit, conversation).values

    def load(self, visit: Visit) -> Any:
        """Show a page that opens the conversation that was looked at last, with all that was written of it."""
        store, owner = self.atelier.conversations, visit.visitor
        found = store.latest(owner)
        if found:
            store.settle(owner, found.head.id, SETTLE_SECONDS)
        return self._opened(visit, store.latest(owner)).values

    def open(self, visit: Visit) -> Any:
        """Open the conversation that was chosen in the list."""
        store, owner, id_ = self.atelier.conversations, visit.visitor, str(visit.told.get("value", ""))
        store.settle(owner, id_, SETTLE_SECONDS)
        found = store.read(owner, id_)
        store.look_at(owner, id_)
        return self._opened(visit, found).values

    def new(self, visit: Visit) -> Any:
        """Begin a new conversation; the others stay in the list."""
        self.atelier.conversations.look_at(visit.visitor, "")
        return self._opened(visit, None).values

    def rename(self, visit: Visit, conversation: str, title: str) -> Any:
        """Give the open conversation another name."""
        _require_open(conversation)
        self.atelier.conversations.rename(visit.visitor, conversation, title)
        return Screen(conversations=self._list(visit, conversation)).values

    def delete(self, visit: Visit, conversation: str) -> Any:
        """Delete the open conversation for good."""
        _require_open(conversation)
        self.atelier.conversations.delete(visit.visitor, conversation)
        return self._opened(visit, None).values

    def files(self, visit: Visit, conversation: str) -> Any:
        """Offer the open conversation as files."""
        _require_open(conversation)
        found = self.atelier.conversations.read(visit.visitor, conversation)
        return Screen(files=draw_files(found, visit.language)).values

    def _answer(self, visit: Visit, conversation: str, make: Callable[[Talk], Turn], box: Any = SKIP) -> Any:
        """Answer a turn; a refusal leaves the conversation as it was, and `box` in the box for the next try."""
        talk, id_ = self._talk(visit), conversation
        try:
            turn = make(talk)
            id_ = turn.id
            lane = Lane(cancel=visit.cancel, report=visit.report)
            stream = _Stream(self, visit)
            answered = talk.answer(turn, self.atelier.registry, lane, stream.told, stream.began)
        except Cancelled:  # whoever stopped it knows
            return self._as_kept(visit, id_).values
        except Exception as problem:
            raise Refusal(problem, self._as_kept(visit, conversation, message=box).values) from problem
        return self._answered(visit, answered).values

    def _answered(self, visit: Visit, answered: Answered) -> Screen:
        conversation, reply = answered.conversation, answered.reply
        return Screen(
            conversation=list(draw(conversation, visit.language).messages),
            current=conversation.head.id,
            conversations=self._list(visit, conversation.head.id),
            view=draw_below(reply, visit),
            snippets=self._code(visit, answered.settings, reply),
            result=reply.result,
            provenance=reply.provenance.as_dict(),
        )

    def _opened(self, visit: Visit, found: Conversation | None) -> Screen:
        """Show a conversation with its model and system prompt, or the place for a new one, which has the last ones."""
        shown = self._shown(visit, found)
        if not found:
            return shown
        return replace(shown, system_prompt=found.system_prompt, model=found.head.model or SKIP)

    def _shown(self, visit: Visit, found: Conversation | None, message: Any = SKIP) -> Screen:
        """Show a conversation as it is kept, None = none; what is chosen for the next message stays chosen."""
        id_, title = (found.head.id, found.head.title) if found else ("", "")
        return Screen(
            conversation=list(draw(found, visit.language).messages),
            message=message,
            current=id_,
            conversations=self._list(visit, id_),
            title=title,
            **NO_ANSWER,
        )

    def _as_kept(self, visit: Visit, conversation: str, message: Any = SKIP) -> Screen:
        """Show the open conversation as it is on disk; one that cannot be read is told by whoever was refused."""
        try:
            found = self.atelier.conversations.read(visit.visitor, conversation) if conversation else None
        except AtelierError:
            return Screen(message=message)
        return self._shown(visit, found, message)

    def _list(self, visit: Visit, current: str) -> Any:
        heads = self.atelier.conversations.heads(visit.visitor)
        return gr.Radio(choices=[(head.title, head.id) for head in heads], value=current or None)

    def _code(self, visit: Visit, settings: ChatSettings, reply: Reply) -> str:
        return snippets_markdown(TASK, settings, reply, visit.address, user=self.atelier.settings.login)

    def _talk(self, visit: Visit) -> Talk:
        return Talk(self.atelier.conversations, visit.visitor)


@dataclass
class _Stream:
    """Shows a turn while it is answered."""

    desk: Desk
    visit: Visit
    before: tuple[dict[str, Any], ...] = ()

    def began(self, now: Conversation) -> None:
        """Show the question, and that nothing is answered yet."""
        self.desk.atelier.conversations.look_at(self.visit.visitor, now.head.id)
        self.before = draw(now, self.visit.language, waiting=True).messages
        screen = Screen(
            conversation=list(self.before),
            message="",
            current=now.head.id,
            conversations=self.desk._list(self.visit, now.head.id),  # noqa: SLF001 one thing in two classes
            title=now.head.title,
            **NO_ANSWER,
        )
        self.visit.show(screen.values)

    def told(self, text: str) -> None:
        """Show the answer so far."""
        self.visit.show(lambda: self._so_far(text).values)

    def _so_far(self, text: str) -> Screen:
        return Screen(conversation=[*self.before, *draw_answer(text, self.visit.language, over=False)])


def _place(visit: Visit, name: str, found: Conversation) -> int:
    """Return the place of the message that was pressed; raises InvalidInput if it is not what the page showed."""
    places, index = draw(found, visit.language).places, visit.told.get("index")
    place = places[index] if isinstance(index, int) and 0 <= index < len(places) else None
    if place is None or visit.told.get(name) != harmless(found.said[place].content):
        raise InvalidInput("error.conversation_changed")
    return place


def _require_open(conversation: str) -> None:
    if not conversation:
        raise InvalidInput("error.no_conversation")
