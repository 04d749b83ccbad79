"""As much of a conversation as the model reads: the system prompt, the last message, and what fits before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.errors import InvalidInput
from core.messages import OPEN_THINKING, Message
from core.models.loading import LoadedModel
from core.tasks.text.chat_template import STORY, USER_TURN, ChatTemplate, template_of
from core.words import Sentence, say


@dataclass(frozen=True)
class ChatPrompt:
    """What the model is given, and what was done to the conversation for it."""

    ids: tuple[int, ...]
    read: tuple[Message, ...]
    """The messages as they went into the template."""
    left_out: int
    """How many of the oldest messages did not fit."""
    template: str | None
    """One of ours, where the model brings none."""
    ends: tuple[int, ...]
    opens_thinking: bool
    """The answer begins inside <think>."""
    notes: tuple[Sentence, ...]

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end an answer, besides those that somebody asked for."""
        return () if self.template in (None, STORY) else (USER_TURN,)

    def clean(self, text: str) -> str:
        """Take off what our plain template makes a model write around its answer."""
        for stop in self.stops:
            text = text.partition(stop)[0].strip()
        return text


def prompt_of(messages: Sequence[Message], max_new_tokens: int, model: LoadedModel) -> ChatPrompt:
    """Return the prompt for the answer to the last message; the oldest turns go first where not all of them fit.

    Raises InvalidInput with the numbers if the last message alone is too long, ModelError if the template refuses.
    """
    template = template_of(model)
    room = model.max_length - max_new_tokens
    if room < 1:
        raise InvalidInput("error.no_room_for_prompt", asked=max_new_tokens, limit=model.max_length)
    kept = list(shorter_and_shorter(messages))
    place = bisect_left(kept, -room, key=lambda one: -len(_ids(template, one)))
    if place == len(kept):
        length = len(_ids(template, kept[-1]))
        raise InvalidInput("error.message_too_long", length=length, asked=max_new_tokens, room=room)
    left_out = len(messages) - len(kept[place])
    read = template.read_as(kept[place])
    text = template.prompt(read)
    return ChatPrompt(
        ids=tuple(template.ids(text)),
        read=read,
        left_out=left_out,
        template=template.text,
        ends=template.end_ids,
        opens_thinking=text.rstrip().endswith(OPEN_THINKING),
        notes=tuple(_notes(template, messages, left_out, max_new_tokens)),
    )


def shorter_and_shorter(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """Give the whole conversation, then what is left as one turn after the other is left out; system and last stay.

    A turn begins with what the user says.
    """
    system = tuple(messages[:1]) if messages[0].role == "system" else ()
    said = messages[len(system) :]
    starts = [place for place, message in enumerate(said) if message.role == "user"]
    for start in dict.fromkeys([0, *starts]):
        yield (*system, *said[start:])


def _ids(template: ChatTemplate, messages: Sequence[Message]) -> list[int]:
    return template.ids(template.prompt(template.read_as(messages)))


def _notes(template: ChatTemplate, messages: Sequence[Message], left_out: int, asked: int) -> Iterator[Sentence]:
    name = template.model.spec.name
    if template.text == STORY:
        yield say("say.story_goes_on", name=name)
    elif template.text:
        yield say("say.chat_without_template", name=name)
    if messages[0].role == "system" and not template.has_system:
        yield say("say.system_folded", name=name)
    if left_out:
        yield say("say.turns_left_out", count=left_out, limit=template.model.max_length, asked=asked)
