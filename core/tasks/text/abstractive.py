"""Summaries that an encoder-decoder writes; of a text longer than it reads, first of its parts, then of those."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import Cancelled
from core.events import Progress
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.tasks.text.encoder import Lane, encode
from core.tasks.text.fitting import parts
from core.tasks.text.seq2seq import WritingOptions, WrittenText, token_counts, write_texts
from core.words import Sentence, say

IN_PARTS = frozenset({"say.summary_of_parts", "say.summary_stopped", "say.summary_stopped_late"})
"""Notes that say that a text was summarised in parts, and how many tokens are read at once (`read`)."""


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
    """Of the rounds that are over, all in order."""
    pieces: int = 0
    """Parts of the round that goes on."""
    done: dict[int, Part] = field(default_factory=dict)
    """Those of them that are summarised, by their places."""

    def __post_init__(self) -> None:
        """Remember how long the text was."""
        self.whole = self.length

    @property
    def begun(self) -> bool:
        """True once there is a part that is summarised."""
        return bool(self.parts or self.done)

    @property
    def newest(self) -> list[Part]:
        """The parts of this round that are summarised, in the order of the text."""
        return [part for _, part in sorted(self.done.items())]

    def go_on(self, length: Callable[[str], int]) -> None:
        """Put the summaries of a round together."""
        made, self.done = self.newest, {}
        self.parts += made
        self.rounds += 1
        self.rest, self.before = _together(made), self.length
        self.length = length(self.rest)

    def so_far(self, limit: int) -> WrittenSummary:
        """Return what a stop leaves: the summaries of the last round that came to its end, or of the first one."""
        if self.parts:
            note = say("say.summary_stopped_late", read=limit, rounds=self.rounds)
            return WrittenSummary(self.rest, (*self.parts, *self.newest), (note,))
        note = say("say.summary_stopped", read=limit, done=len(self.done), parts=self.pieces)
        return WrittenSummary(_together(self.newest), tuple(self.newest), (note,))

    def notes(self, limit: int) -> tuple[Sentence, ...]:
        """Say what was summarised in parts, and what was left out all the same."""
        told = []
        if self.parts:
            numbers = {"length": self.whole, "read": limit, "parts": len(self.parts), "rounds": self.rounds}
            told.append(say("say.summary_of_parts", **numbers))
        if self.length > limit:
            told.append(say("say.text_cut", read=limit, length=self.length))
        return tuple(told)


def write_summaries(
    texts: Sequence[str], writer: Writer, told: Told = lambda _: None, *, keep: bool = False
) -> list[WrittenSummary]:
    """Write one summary a text, in order; what is too long goes in rounds, until the summaries of its parts fit.

    A round ends where it shortens nothing any more: then the rest loses its end, and a note says so. A stop raises
    Cancelled; with `keep` the parts that are done are returned instead, if each text has one.
    """
    stripped = [text.strip() for text in texts]
    works = [_Work(text, length) for text, length in zip(stripped, writer.lengths(stripped), strict=True)]
    try:
        written = _write_all(works, writer, told)
    except Cancelled:
        if not keep or not all(work.begun for work in works):
            raise
        return [work.so_far(writer.model.max_length) for work in works]
    notes = [work.notes(writer.model.max_length) for work in works]
    found = zip(written, works, notes, strict=True)
    return [WrittenSummary(text, tuple(work.parts), said) for text, work, said in found]


def _write_all(works: Sequence[_Work], writer: Writer, told: Told) -> list[str]:
    """Shorten in rounds what is too long, then write the summaries."""
    limit = writer.model.max_length
    while long := [work for work in works if limit < work.length < work.before]:
        _one_round(long, writer, told)
    return writer.write([work.rest for work in works])


def _one_round(long: Sequence[_Work], writer: Writer, told: Told) -> None:
    """Summarise the parts of all texts that are too long, together."""
    pieces: list[tuple[_Work, int, str]] = []
    for work in long:
        found = parts(work.rest, writer.lengths, writer.model.max_length)
        work.pieces = len(found)
        pieces += [(work, place, part) for place, part in enumerate(found)]

    def tell(number: int, summary: str) -> None:
        work, place, part = pieces[number]
        work.done[place] = Part(part, summary)
        told(tuple(one for each in long for one in each.newest))

    writer.write([part for _, _, part in pieces], tell)
    for work in long:
        work.go_on(lambda text: writer.lengths([text])[0])


def _together(made: Sequence[Part]) -> str:
    return " ".join(part.summary for part in made)
