"""A conversation goes on: the next answer of a chat model, here or elsewhere, token by token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import fields
from core.catalogue import ModelSpec
from core.compute.decoding import Written
from core.errors import InvalidInput
from core.events import CancelToken
from core.messages import OPEN_THINKING, Message, as_dicts, read_messages
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.remote.options import RemoteOptions
from core.seeds import drawn
from core.settings import LIMITS
from core.tasks.text.chat_elsewhere import ask_what_fits, speed
from core.tasks.text.chat_prompt import ChatPrompt, prompt_of
from core.tasks.text.encoder import INTERACTIVE, Lane, borrow, with_notes
from core.tasks.text.request import Request
from core.tasks.text.sampling import GenerationOptions, unused, unused_names
from core.tasks.text.taught import script_notes
from core.tasks.text.thinking import split_thinking
from core.tasks.text.writing import tokens_per_second, write
from core.words import Sentence

TASK = "chat"
LONGEST_SYSTEM_PROMPT = 20_000
MOST_NEW_TOKENS = 32_768
"""What models elsewhere may take to think and answer; here a model's positions and the memory end sooner, in words."""

Told = Callable[[str], None]
"""Told the answer so far, whenever there is more; one that begins inside <think> is told with that tag."""


@dataclass(frozen=True, kw_only=True)
class ChatSettings(GenerationOptions):
    """What is said now, what was said before, and how the answer is written."""

    message: str = fields.text(limit=LIMITS.text_characters)
    history: Any = ()
    """What was said before: a list of {role, content}, or its JSON. It may begin with the system prompt."""
    system_prompt: str = fields.text(limit=LONGEST_SYSTEM_PROMPT, optional=True)
    max_new_tokens: int = fields.number(256, low=1, high=MOST_NEW_TOKENS)

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits; the history becomes a tuple of {role, content}."""
        super().__post_init__()
        history = read_messages(self.history)
        object.__setattr__(self, "history", tuple(as_dicts(history)))
        if self.num_return_sequences > 1:
            raise InvalidInput("error.chat_has_one_answer", count=self.num_return_sequences)
        own = history[0].content if history and history[0].role == "system" else ""
        if own.strip() and self.system_prompt.strip() and own != self.system_prompt:
            raise InvalidInput("error.two_system_prompts")

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation: system prompt, history, message."""
        before = read_messages(self.history)
        own = before[:1] if before and before[0].role == "system" else ()
        named = (Message("system", self.system_prompt),) if self.system_prompt.strip() else own
        return (*named, *before[len(own) :], Message("user", self.message))


@dataclass(frozen=True)
class Reply:
    """A conversation with its new answer, how it ended, and how fast it came."""

    messages: tuple[Message, ...]
    text: str
    reason: str
    """Why the answer ended: "eos", "stop", "length", "stopped" by somebody, "cut" where a connection broke."""
    given: ChatPrompt | None
    """What the model was given; None for a model elsewhere."""
    new_tokens: int | None
    """None where a model elsewhere does not count."""
    first_token_seconds: float
    tokens_per_second: float
    """From the first token on."""
    provenance: Provenance
    left_out: int = 0
    """How many of the oldest messages the model did not read."""
    notes: tuple[Sentence, ...] = ()

    @property
    def thought(self) -> bool:
        """True where what the model thought stands in front of its answer."""
        return bool(split_thinking(self.text, opened=self.opens_thinking).thinking)

    @property
    def opens_thinking(self) -> bool:
        """True where the answer begins inside <think>, because the template has opened it."""
        return bool(self.given and self.given.opens_thinking)

    @property
    def result(self) -> list[dict[str, Any]]:
        """The same as the transformers pipeline returns for a chat: [{generated_text: [{role, content}, …]}]."""
        return [{"generated_text": as_dicts((*self.messages, Message("assistant", self.text)))}]


def chat(settings: ChatSettings, registry: Registry, lane: Lane = INTERACTIVE, told: Told | None = None) -> Reply:
    """Answer the message; raises InvalidInput, ModelError, HubError or RemoteError in words.

    A stop ends the answer within a token and keeps what was written; raises Cancelled only if that is nothing.
    """
    spec = settings.spec(registry, TASK)
    settings = replace(settings, seed=drawn(settings.seed)) if settings.do_sample else settings
    if spec.source.remote:
        return _elsewhere(settings, spec, lane, told)
    return _here(settings, spec, registry, lane, told)


def _here(settings: ChatSettings, spec: ModelSpec, registry: Registry, lane: Lane, told: Told | None) -> Reply:
    """Let a model of this machine answer."""
    started = time.perf_counter()
    whole = "\n".join(message.content for message in settings.messages)
    with borrow(registry, spec, [whole], lane, settings.num_beams) as model:
        prompt = prompt_of(settings.messages, settings.max_new_tokens, model)
        written = write(_request(settings, prompt, lane), registry, model, _teller(prompt, told), keep=True)
        provenance = model.provenance(time.perf_counter() - started, settings.seed if settings.do_sample else None)
        notes = (*prompt.notes, *unused(settings), *script_notes(model, settings.messages[-1].content))
        return Reply(
            messages=settings.messages,
            text=prompt.clean(_decoded(model, written)),
            reason=written.reasons[0],
            given=prompt,
            new_tokens=len(written.rows[0]),
            first_token_seconds=written.first_token_seconds,
            tokens_per_second=tokens_per_second(written),
            provenance=with_notes(provenance, notes),
            left_out=prompt.left_out,
            notes=notes,
        )


def _request(settings: ChatSettings, prompt: ChatPrompt, lane: Lane) -> Request:
    """Ask for what the settings say, ended also where the template's turns end."""
    cancel, stops = lane.cancel or CancelToken(), prompt.stops
    return Request(
        prompt.ids, settings, settings.seed, cancel, prompt.ends, stops, report=lane.report, probabilities=False
    )


def _teller(prompt: ChatPrompt, told: Told | None) -> Callable[[Sequence[str]], None] | None:
    begun = OPEN_THINKING if prompt.opens_thinking else ""
    return (lambda texts: told(begun + prompt.clean(texts[0]))) if told else None


def _decoded(model: LoadedModel, written: Written) -> str:
    """Return the answer without the token that ended it, which not every tokenizer counts as a special one."""
    ids = [token.id for token in written.rows[0]]
    return str(model.tokenizer.decode(ids[:-1] if written.reasons[0] == "eos" else ids, skip_special_tokens=True))


def _elsewhere(settings: ChatSettings, spec: ModelSpec, lane: Lane, told: Told | None) -> Reply:
    """Let a model on another machine answer."""
    options = RemoteOptions.of(settings, settings.seed if settings.do_sample else None, unused_names(settings))
    answer, left_out = ask_what_fits(spec, settings.messages, options, lane.cancel, told)
    answer = replace(answer, notes=(*unused(settings), *answer.notes))
    return Reply(
        messages=settings.messages,
        text=answer.text,
        reason=answer.reason,
        given=None,
        new_tokens=answer.new_tokens,
        first_token_seconds=answer.first_token_seconds,
        tokens_per_second=speed(answer),
        provenance=answer.provenance(),
        left_out=left_out,
        notes=answer.notes,
    )
