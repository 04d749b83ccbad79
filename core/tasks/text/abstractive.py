"""Summaries that an encoder-decoder writes; of a text longer than it reads, first of its parts, then of those."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.events import Progress
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.tasks.text.encoder import Lane, encode
from core.tasks.text.fitting import parts
from core.tasks.text.seq2seq import WritingOptions, WrittenText, token_counts, write_texts
from core.words import Sentence, say


@dataclass(frozen=True)
class Part:
    """A part of a text that was too long, and its summary."""

    text: str
    summary: str


@dataclass(frozen=True)
class WrittenSummary:
    """A summary, and what it was put together from."""

    text: str
    parts: tuple[Part, ...] = ()
    notes: tuple[Sentence, ...] = ()


Told = Callable[[Sequence[Part]], None]
"""Told the parts of all texts that are summarised so far."""


@dataclass(frozen=True)
class Writer:
    """A borrowed model that writes summaries: how, and what it wants to read before each text."""

    model: LoadedModel
    options: WritingOptions
    prefix: str
    registry: Registry
    lane: Lane

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count tokens, prefix and special ones included."""
        return token_counts(self.model, [self.prefix + text for text in texts])

    def write(self, texts: Sequence[str], told: Callable[[int, str], None] = lambda _, __: None) -> list[str]:
        """Write a summary of each text, telling of each that is done; what is too long loses its end."""
        began, done = time.perf_counter(), [0]

        def tell(batch: Mapping[int, WrittenText]) -> None:
            for place, written in batch.items():
                told(place, written.decoded(self.model))
            done[0] += len(batch)
            if self.lane.report and done[0] < len(texts):
                self.lane.report(Progress("write", done[0], len(texts), time.perf_counter() - began))

        encoded = encode(self.model, [self.prefix + text for text in texts])
        written = write_texts(encoded, self.options, self.registry, self.model, self.lane, tell)
        return [one.decoded(self.model) for one in written]


@dataclass
class _Work:
    """One text on its way to a summary."""

    rest: str
    """What is to be summarised: the text, and after a round the summaries of its parts."""
    length: int
    before: float = math.inf
    """Tokens of the last round; where a round does not shorten, there is no other one."""
    whole: int = 0
    rounds: int = 0
    parts: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Remember how long the text was."""
        self.whole = self.length

    def go_on(self, made: Sequence[Part], length: Callable[[str], int]) -> None:
        """Put the summaries of a round together."""
        self.parts += made
        self.rounds += 1
        self.rest, self.before = " ".join(part.summary for part in made), self.length
        self.length = length(self.rest)

    def notes(self, limit: int) -> tuple[Sentence, ...]:
        """Say what was summarised in parts, and what was left out all the same."""
        told = []
        if self.parts:
            numbers = {"length": self.whole, "read": limit, "parts": len(self.parts), "rounds": self.rounds}
            told.append(say("say.summary_of_parts", **numbers))
        if self.length > limit:
            told.append(say("say.text_cut", read=limit, length=self.length))
        return tuple(told)


def write_summaries(texts: Sequence[str], writer: Writer, told: Told = lambda _: None) -> list[WrittenSummary]:
    """Write one summary a text, in order; what is too long goes in rounds, until the summaries of its parts fit.

    A round ends where it shortens nothing any more: then the rest loses its end, and a note says so.
    """
    stripped = [text.strip() for text in texts]
    works = [_Work(text, length) for text, length in zip(stripped, writer.lengths(stripped), strict=True)]
    limit = writer.model.max_length
    while long := [work for work in works if limit < work.length < work.before]:
        _one_round(long, writer, told)
    written = writer.write([work.rest for work in works])
    return [
        WrittenSummary(text, tuple(work.parts), work.notes(limit)) for text, work in zip(written, works, strict=True)
    ]


def _one_round(long: Sequence[_Work], writer: Writer, told: Told) -> None:
    """Summarise the parts of all texts that are too long, together."""
    pieces = [(work, part) for work in long for part in parts(work.rest, writer.lengths, writer.model.max_length)]
    done: dict[int, Part] = {}

    def tell(place: int, summary: str) -> None:
        done[place] = Part(pieces[place][1], summary)
        told(tuple(one for _, one in sorted(done.items())))

    writer.write([part for _, part in pieces], tell)
    for work in long:
        made = [done[place] for place, (owner, _) in enumerate(pieces) if owner is work]
        work.go_on(made, lambda text: writer.lengths([text])[0])
