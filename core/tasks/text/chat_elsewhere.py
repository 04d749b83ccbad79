"""An answer from a model on another machine; what it had written when somebody stopped it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.catalogue import ModelSpec
from core.errors import Cancelled
from core.events import CancelToken
from core.messages import Message, as_dicts, joined
from core.remote.chat import UNKNOWN, RemoteAnswer, RemoteOptions, stream_chat
from core.remote.names import remote_place
from core.tasks.text.beams import STOPPED


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
        return stream_chat(spec, as_dicts(joined(messages)), options, cancel or CancelToken(), heard)
    except Cancelled:
        if not heard.text:
            raise
        return heard.so_far(spec, options)


def speed(answer: RemoteAnswer) -> float:
    """Return its tokens per second from the first on; 0 where the server does not count."""
    seconds = answer.seconds - answer.first_token_seconds
    return (answer.new_tokens - 1) / seconds if answer.new_tokens and seconds > 0 else 0.0
