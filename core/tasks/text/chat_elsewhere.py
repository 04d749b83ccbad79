"""An answer from a model on another machine: of a conversation as much as it reads, and what a stop has left of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.catalogue import ModelSpec
from core.errors import Cancelled, InvalidInput, RemoteTooLong
from core.events import CancelToken
from core.messages import Message, as_dicts, joined
from core.remote.chat import UNKNOWN, RemoteAnswer, RemoteOptions, stream_chat
from core.remote.names import remote_place
from core.tasks.text.chat_prompt import shorter_and_shorter
from core.tasks.text.request import STOPPED
from core.tasks.text.thinking import split_thinking
from core.words import Sentence, say


@dataclass
class _Heard:
    """What has come so far, and when it began."""

    told: Callable[[str], None] | None
    text: str = ""
    began: float = field(default_factory=time.perf_counter)
    first: float = 0.0

    def __call__(self, text: str) -> None:
        self.first = self.first or time.perf_counter() - self.began
        self.text = text
        if self.told:
            self.told(text)

    def so_far(self, spec: ModelSpec, options: RemoteOptions) -> RemoteAnswer:
        """Return it as an answer that was stopped; of its making nothing more is known than who was asked."""
        place = remote_place(spec.name)
        return RemoteAnswer(
            text=self.text,
            reason=STOPPED,
            new_tokens=None,
            first_token_seconds=self.first,
            seconds=time.perf_counter() - self.began,
            model=place.model or UNKNOWN,
            revision=UNKNOWN,
            device=place.device,
            seed=options.seed if options.do_sample else None,
        )


def as_sent(messages: Sequence[Message], left_out: int = 0) -> tuple[Message, ...]:
    """Return a conversation as it travels: without its oldest turns and all thoughts, neighbours of a role joined.

    What a model thought before an earlier answer was for that answer alone: servers want it left out, or refuse it.
    """
    system = int(bool(messages) and messages[0].role == "system")
    return joined(map(_without_thoughts, (*messages[:system], *messages[system + left_out :])))


def _without_thoughts(message: Message) -> Message:
    if message.role != "assistant":
        return message
    return replace(message, content=split_thinking(message.content).answer)


def ask_what_fits(
    spec: ModelSpec,
    messages: Sequence[Message],
    options: RemoteOptions,
    cancel: CancelToken | None = None,
    told: Callable[[str], None] | None = None,
) -> tuple[RemoteAnswer, int]:
    """Ask as `ask_elsewhere` does; where its server says too long, ask without the oldest turns, until it does not.

    Returns the answer, and how many messages it did not read, which a note tells, too. Raises InvalidInput with the
    server's words once there is nothing left to leave out.
    """
    kept = list(shorter_and_shorter(messages))
    place = 0
    note: tuple[Sentence, ...] = ()
    while True:
        try:
            answer = ask_elsewhere(spec, kept[place], options, cancel, told)
        except RemoteTooLong as problem:
            place = _shorter(kept, place, problem, options.max_new_tokens or 0)
            note = (_left_out(len(messages) - len(kept[place]), problem, options),)
        else:
            return replace(answer, notes=(*note, *answer.notes)), len(messages) - len(kept[place])


def _shorter(kept: Sequence[Sequence[Message]], place: int, problem: RemoteTooLong, asked: int) -> int:
    """Return which of `kept` to try next: by the server's numbers the first that should fit, else half of the turns."""
    last = len(kept) - 1
    if problem.limit and problem.length and problem.length <= problem.limit <= asked:  # the answer alone is too long
        raise problem
    if place == last:
        raise InvalidInput("error.remote_message_too_long", **problem.sentence.values) from problem
    if not problem.limit or not problem.length:
        return place + (last - place + 1) // 2
    room = problem.limit - asked if asked < problem.limit else problem.limit
    share = min(room / problem.length, 1.0) * _characters(kept[place])
    return next((at for at in range(place + 1, last) if _characters(kept[at]) <= share), last)


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in as_sent(messages))


def _left_out(count: int, problem: RemoteTooLong, options: RemoteOptions) -> Sentence:
    """Say it as for a model of this machine, where the server tells how much its model reads."""
    if problem.limit is None:
        return say("say.turns_left_out_elsewhere", count=count, host=problem.sentence.values["host"])
    return say("say.turns_left_out", count=count, limit=problem.limit, asked=options.max_new_tokens or 0)


def ask_elsewhere(
    spec: ModelSpec,
    messages: Sequence[Message],
    options: RemoteOptions,
    cancel: CancelToken | None = None,
    told: Callable[[str], None] | None = None,
) -> RemoteAnswer:
    """Ask the model that `spec` names; raises RemoteError in words, Cancelled if nothing was written until a stop."""
    heard = _Heard(told)
    try:
        return stream_chat(spec, as_dicts(as_sent(messages)), options, cancel or CancelToken(), heard)
    except Cancelled:
        if not heard.text:
            raise
        return heard.so_far(spec, options)


def speed(answer: RemoteAnswer) -> float:
    """Return its tokens per second from the first on; 0 where the server does not count."""
    seconds = answer.seconds - answer.first_token_seconds
    return (answer.new_tokens - 1) / seconds if answer.new_tokens and seconds > 0 else 0.0
