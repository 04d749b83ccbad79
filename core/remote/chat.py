"""Chat with models elsewhere: behind a server that speaks OpenAI's protocol, or behind Inference Providers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace

from core.catalogue import ModelSpec
from core.errors import AtelierError, RemoteUnreachable
from core.events import CancelToken
from core.messages import CLOSE_THINKING, OPEN_THINKING
from core.provenance import Provenance
from core.remote.names import Provided, remote_place
from core.remote.options import RemoteOptions
from core.remote.pieces import Piece
from core.remote.talk import Call, End, Told, converse
from core.words import Sentence, say

__all__ = ["PATIENCE", "Patience", "RemoteAnswer", "RemoteOptions", "stream_chat"]

CANCEL_CHECK_SECONDS = 0.05
UNKNOWN = "unknown"
CUT = "cut"
REASONS = {
    "stop": "eos",
    "eos": "eos",
    "eos_token": "eos",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    CUT: CUT,
}
"""Why an answer ended, by the words of vLLM, TGI and others; "stop" may be a stop string, too, and mostly is not."""


@dataclass(frozen=True)
class Patience:
    """How many seconds of silence are borne: a large model may have to be loaded before its first word."""

    first: float = 300.0
    between: float = 60.0


PATIENCE = Patience()


@dataclass(frozen=True)
class RemoteAnswer:
    """What a model elsewhere has written, and what its server says of it."""

    text: str
    """What a model thought first stands in front, between <think> and </think>."""
    reason: str
    """Why it ended: "eos", "stop", "length", or "cut" where the connection broke; `notes` say more."""
    new_tokens: int | None
    """None where the server does not count."""
    first_token_seconds: float
    seconds: float
    model: str
    """As the server calls it."""
    revision: str
    """The server's fingerprint of model and software, where it gives one."""
    device: str
    seed: int | None = None
    notes: tuple[Sentence, ...] = ()

    def provenance(self) -> Provenance:
        """Say who answered, with the notes among the fallbacks; how the server computes, it does not tell."""
        return Provenance(
            model=self.model,
            revision=self.revision,
            adapter=None,
            device=self.device,
            dtype=UNKNOWN,
            attention=UNKNOWN,
            seed=self.seed,
            seconds=self.seconds,
            fallbacks=tuple(map(str, self.notes)),
        )


def stream_chat(
    spec: ModelSpec,
    messages: Sequence[Mapping[str, str]],
    options: RemoteOptions,
    cancel: CancelToken,
    told: Callable[[str], None],
    patience: Patience = PATIENCE,
) -> RemoteAnswer:
    """Send a conversation, and tell the whole answer so far after each piece of it.

    `spec` comes from Catalogue.resolve, which knows who may call whom. Raises RemoteError or InvalidInput in words, and
    Cancelled within a moment; the connection is closed then, and if `told` raises. What breaks off in the middle is no
    error: the answer holds what came, its reason is "cut", and a note says why.
    """
    from core.remote.client import Cord

    cancel.check()
    call = Call(remote_place(spec.name), tuple(dict(message) for message in messages), options, Cord())
    heard: queue.SimpleQueue[Told] = queue.SimpleQueue()
    answer = _Answer(call, told)
    threading.Thread(target=converse, args=(call, heard.put), name="remote-chat", daemon=True).start()
    try:
        answer.listen(heard, cancel, patience)
    finally:
        call.cord.pull()
    return answer.finished()


class _Answer:
    """What has come so far."""

    def __init__(self, call: Call, told: Callable[[str], None]) -> None:
        """Begin with nothing."""
        self._call, self._told = call, told
        self._began = time.perf_counter()
        self._first_seconds = 0.0
        self._text = ""
        self._thought = ""
        self._last = Piece()
        self._cut: tuple[Sentence, ...] = ()

    def listen(self, heard: queue.SimpleQueue[Told], cancel: CancelToken, patience: Patience) -> None:
        """Take what comes until the end; raises what goes wrong, unless there is something to keep."""
        seconds = patience.first
        while True:
            item = self._next(heard, cancel, seconds)
            seconds = patience.between
            if isinstance(item, Piece):
                self._take(item)
            elif isinstance(item, End):
                if not item.whole:
                    self._break_off(RemoteUnreachable("error.remote_broke", host=self._host))
                return
            elif isinstance(item, AtelierError):
                self._break_off(item)
                return
            else:
                raise item

    def _next(self, heard: queue.SimpleQueue[Told], cancel: CancelToken, seconds: float) -> Told:
        """Return what comes next; after so many seconds of silence that is an error."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            cancel.check()
            with suppress(queue.Empty):
                return heard.get(timeout=CANCEL_CHECK_SECONDS)
        return RemoteUnreachable("error.remote_timeout", seconds=seconds, host=self._host)

    def _take(self, piece: Piece) -> None:
        known = {field.name: value for field in fields(piece) if (value := getattr(piece, field.name)) is not None}
        self._last = replace(self._last, **known)
        self._thought += piece.thought
        self._text += piece.text
        if piece.thought or piece.text:
            self._first_seconds = self._first_seconds or time.perf_counter() - self._began
            self._told(self._whole)

    @property
    def _whole(self) -> str:
        """What was written, thoughts in front: a server that tells them apart is put back to the models' own form."""
        if not self._thought:
            return self._text
        return f"{OPEN_THINKING}{self._thought}{CLOSE_THINKING if self._text else ''}{self._text}"

    def _break_off(self, problem: AtelierError) -> None:
        """Keep what was written before this happened; where that is nothing, it is what happened."""
        if self._last.finish is not None:  # the answer is whole, only the server's count may be missing
            return
        if not self._whole:
            raise problem
        why = say("say.remote_cut", characters=len(self._whole), why=problem.sentence)
        self._cut, self._last = (why,), replace(self._last, finish=CUT)

    def finished(self) -> RemoteAnswer:
        """Return the answer with everything that there is to say of it."""
        seconds = time.perf_counter() - self._began
        place, options, last = self._call.place, self._call.options, self._last
        return RemoteAnswer(
            text=self._whole,
            reason=REASONS.get(last.finish or "eos", "stop"),
            new_tokens=last.new_tokens,
            first_token_seconds=self._first_seconds or seconds,
            seconds=seconds,
            model=last.model or place.model or UNKNOWN,
            revision=last.fingerprint or UNKNOWN,
            device=self._device,
            seed=options.seed if options.do_sample else None,
            notes=(*self._notes(), *self._cut),
        )

    @property
    def _device(self) -> str:
        """Say where it ran, with the company that the router has chosen."""
        place, chosen = self._call.place, self._last.provider
        return replace(place, provider=chosen).device if isinstance(place, Provided) and chosen else place.device

    def _notes(self) -> Iterator[Sentence]:
        asked, answered, finish = self._call.place.model, self._last.model, self._last.finish
        if names := ", ".join(self._call.options.others):
            yield say("say.remote_left_out", names=names, host=self._host)
        if asked and answered and _bare(asked) != _bare(answered):
            yield say("say.remote_other_model", asked=asked, answered=answered)
        if finish is not None and finish not in REASONS:
            yield say("say.remote_ended", finish=finish)

    @property
    def _host(self) -> str:
        return self._call.place.host


def _bare(model: str) -> str:
    """Return a model's name without its owner, for servers name it with or without."""
    return model.rpartition("/")[2].lower()
