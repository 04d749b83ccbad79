"""A text in another language: sentence by sentence in padded batches, laid out as the original is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import fields
from core.errors import Cancelled, InvalidInput
from core.events import Progress
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.direction import Direction, find_direction
from core.tasks.text.encoder import INTERACTIVE, Encoded, Lane, borrow, encode, with_notes
from core.tasks.text.fitting import fitting
from core.tasks.text.layout import in_one_line, laid_out, translatable
from core.tasks.text.options import ModelOptions
from core.tasks.text.sentences import Span
from core.tasks.text.seq2seq import (
    WritingOptions,
    WrittenText,
    own_beams,
    own_length,
    token_counts,
    write_texts,
    writing_options,
)
from core.tasks.text.taught import script_notes
from core.words import Sentence, say

TASK = "translation"
MOST_SENTENCES = 5_000
SPECIAL_TOKENS = 8
"""More than any tokenizer adds to a text."""
USUAL_LENGTH = 256
"""New tokens of a sentence where neither the model's files nor the settings name a number."""


@dataclass(frozen=True, kw_only=True)
class TranslationSettings(ModelOptions):
    """A text, from which language into which, and how; languages are for models of several, in codes or names."""

    text: str = fields.text(limit=LIMITS.context_characters)
    source_language: str = fields.text(limit=40, optional=True)
    target_language: str = fields.text(limit=40, optional=True)
    num_beams: int = fields.number(0, low=0, high=16)
    """0 = the model's own."""
    max_new_tokens: int = fields.number(0, low=0, high=1024)
    """Of each sentence; 0 = the model's own."""


@dataclass(frozen=True)
class Pair:
    """A sentence, text[start:end], beside its translation."""

    start: int
    end: int
    translation: str


@dataclass(frozen=True)
class Translation:
    """The translated text, its sentences, and from which language into which, where that is known."""

    translation_text: str
    pairs: tuple[Pair, ...]
    direction: Direction
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> list[dict[str, str]]:
        """The same as the transformers pipeline returned: [{translation_text}]."""
        return [{"translation_text": self.translation_text}]


Told = Callable[[Sequence[Pair]], None]
"""Told the sentences that are translated so far, in their order."""


@dataclass
class _Original:
    """A text, the sentences that are to be translated, and what has been written for them."""

    text: str
    spans: list[Span]
    long: int = 0
    """Sentences that were longer than the model reads."""
    full: int = 0
    """Translations that were as long as is allowed."""
    written: dict[int, str] = field(default_factory=dict)

    def keep(self, place: int, text: str, *, full: bool) -> None:
        """Take one translation."""
        self.written[place] = text
        self.full += full

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The sentences that are done."""
        done = sorted(self.written.items())
        return tuple(Pair(self.spans[place].start, self.spans[place].end, text) for place, text in done)

    @property
    def translated(self) -> str:
        """The text; a sentence that is not done yet stays as it is."""
        written, text = self.written, self.text
        sentences = [written.get(place, text[span.start : span.end]) for place, span in enumerate(self.spans)]
        return "".join(laid_out(text, self.spans, sentences))


def translate(
    settings: TranslationSettings, registry: Registry, lane: Lane = INTERACTIVE, told: Told | None = None
) -> Translation:
    """Translate one text; raises InvalidInput, ModelError, HubError or Cancelled in words.

    A stop keeps the sentences that are done, and says how many; it is Cancelled only if there are none.
    """
    started = time.perf_counter()
    with borrow(registry, settings.spec(registry, TASK), [settings.text], lane) as model:
        desk = _Desk(settings, registry, model, lane)
        original = desk.original(settings.text)
        try:
            desk.translate([original], _teller(original, lane, told))
        except Cancelled:
            if not original.written:
                raise
        notes = (*desk.direction.notes, *_notes(original, desk), *script_notes(model, settings.text))
        provenance = model.provenance(time.perf_counter() - started)
    return Translation(original.translated, original.pairs, desk.direction, with_notes(provenance, notes), notes)


def translate_texts(
    texts: Sequence[str], settings: TranslationSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[list[dict[str, str]]]:
    """Translate many texts with a borrowed model, all sentences together: one pipeline result a text, in order."""
    desk = _Desk(settings, registry, model, lane)
    originals = [desk.original(text) for text in texts]
    desk.translate(originals)
    if lane.on_full:
        lane.on_full(place for place, one in enumerate(originals) if one.full)
    return [[{"translation_text": one.translated}] for one in originals]


def require_direction(settings: TranslationSettings, model: LoadedModel) -> None:
    """Raise InvalidInput where the model must be told the languages and is not, before a table's first row."""
    find_direction(model, settings.source_language, settings.target_language)


def options_of(settings: TranslationSettings, direction: Direction, model: Any) -> WritingOptions:
    """Return how to write with a `model` of transformers: as asked, else as its files say."""
    own = direction.own
    own_new = own["max_length"] - 1 if "max_length" in own else own_length(model)
    asked = {name: own.get(name) for name in ("length_penalty", "no_repeat_ngram_size", "early_stopping")}
    beams = settings.num_beams or own.get("num_beams") or own_beams(model)
    if beams == 1:
        asked |= {"length_penalty": None, "early_stopping": None}
    longest = settings.max_new_tokens or own_new or USUAL_LENGTH
    return writing_options(model, beams, longest, forced_bos_token_id=direction.forced_bos_token_id, **asked)


@dataclass
class _Desk:
    """Where texts are translated with a borrowed model."""

    settings: TranslationSettings
    registry: Registry
    model: LoadedModel
    lane: Lane

    def __post_init__(self) -> None:
        """Find the direction, or refuse in words."""
        self.direction = find_direction(self.model, self.settings.source_language, self.settings.target_language)
        self.options = options_of(self.settings, self.direction, self.model.model)

    def original(self, text: str) -> _Original:
        """Find the sentences of a text; those that are too long to be read at once come in pieces."""
        spans = translatable(text)
        if len(spans) > MOST_SENTENCES:
            raise InvalidInput("error.too_much_to_translate", sentences=len(spans), limit=MOST_SENTENCES)
        short = fitting(text, spans, self._lengths, self.model.max_length)
        return _Original(text, short, long=len(set(spans) - set(short)))

    def translate(self, originals: Sequence[_Original], told: Callable[[], None] = lambda: None) -> None:
        """Translate all sentences of all texts together, those of like length at once."""
        places = [(one, place) for one in originals for place in range(len(one.spans))]
        encoded = self._encoded([in_one_line(one.text, one.spans[place]) for one, place in places])

        def keep(written: Mapping[int, WrittenText]) -> None:
            for number, found in written.items():
                original, place = places[number]
                original.keep(place, found.decoded(self.model), full=found.full)
            told()

        write_texts(encoded, self.options, self.registry, self.model, self.lane, keep)

    def _lengths(self, pieces: Sequence[str]) -> list[int]:
        """Count tokens, where a piece may have too many: none has more than bytes."""
        most = [len((self.direction.prefix + piece).encode()) + SPECIAL_TOKENS for piece in pieces]
        unsure = [place for place, count in enumerate(most) if count > self.model.max_length]
        texts = [self.direction.prefix + pieces[place] for place in unsure]
        for place, count in zip(unsure, token_counts(self.model, texts, self.direction.language), strict=True):
            most[place] = count
        return most

    def _encoded(self, pieces: Sequence[str]) -> list[Encoded]:
        prefix = self.direction.prefix
        return encode(self.model, [prefix + piece for piece in pieces], language=self.direction.language)


def _teller(original: _Original, lane: Lane, told: Told | None) -> Callable[[], None]:
    """Return what tells how far a text is."""
    began = time.perf_counter()

    def tell() -> None:
        done, total = len(original.written), len(original.spans)
        if lane.report and done < total:
            lane.report(Progress("write", done, total, time.perf_counter() - began))
        if told:
            told(original.pairs)

    return tell


def _notes(original: _Original, desk: _Desk) -> Iterator[Sentence]:
    done, total = len(original.written), len(original.spans)
    if done < total:
        yield say("say.translation_stopped", done=done, total=total)
    if not original.spans:
        yield say("say.nothing_to_translate")
    if original.long:
        yield say("say.sentences_in_pieces", count=original.long, read=desk.model.max_length)
    if original.full:
        yield say("say.translations_full", count=original.full, limit=desk.options.max_new_tokens)
