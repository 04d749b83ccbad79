"""A long text in few sentences: the most central ones picked by an encoder, or new ones from an encoder-decoder."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core import fields
from core.errors import InvalidInput
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.abstractive import Part, Told, Writer, write_summaries
from core.tasks.text.encoder import INTERACTIVE, Encoded, Lane, borrow, encode, tokenize, with_notes
from core.tasks.text.options import ModelOptions
from core.tasks.text.pooling import as_encoder, cosines, embed, unit_length
from core.tasks.text.sentences import Span, split_sentences
from core.tasks.text.seq2seq import WritingOptions, own_beams, own_length, writing_options
from core.tasks.text.taught import script_notes
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

TASK = "summarization"
CUTS = frozenset({"say.text_cut", "say.sentences_cut"})
"""Notes that say that some of the text was not read."""
MOST_SENTENCES = 5_000
POSITION_PRIOR = 0.1
"""What the last sentence loses against the first: little, so that a central sentence wins wherever it is."""
RELEVANCE = 0.9
"""Weight of centrality against novelty in maximal marginal relevance (Carbonell & Goldstein 1998): most of it, because
what is said twice is SAME's business."""
SAME = 0.9
"""Cosine from which a sentence says again what another has said; it is taken only when nothing else is left."""
USUAL_MAX_LENGTH = 142
"""Tokens of a summary where the model itself names no number: that of facebook/bart-large-cnn."""
ONLY_PICKED, ONLY_WRITTEN = ("sentences",), ("min_length", "num_beams", "no_repeat_ngram_size")
"""Settings that only an encoder reads, and those that only an encoder-decoder does; `max_length` is for both."""
_NO_SPACE_BEHIND = re.compile(r"[。！？｡．][」』”’）》】\"')]*$")


@dataclass(frozen=True, kw_only=True)
class SummarizationSettings(ModelOptions):
    """A text to shorten; `sentences` is for encoders, `min_length` (in tokens) and beams are for encoder-decoders."""

    text: str = fields.text(limit=LIMITS.context_characters)
    sentences: int = fields.number(3, low=1, high=20)
    min_length: int = fields.number(0, low=0, high=500)
    """0 = the model's own, as for the three below."""
    max_length: int = fields.number(0, low=0, high=500)
    """Tokens: where an encoder's sentences would have more of them together, there are fewer sentences."""
    num_beams: int = fields.number(0, low=0, high=16)
    no_repeat_ngram_size: int = fields.number(0, low=0, high=10)

    def __post_init__(self) -> None:
        """Refuse lengths that contradict each other, and whatever lies outside the limits."""
        super().__post_init__()
        if self.max_length and self.min_length > self.max_length:
            raise InvalidInput("error.lengths_crossed", low=self.min_length, high=self.max_length)


@dataclass(frozen=True)
class PickedSentence:
    """A sentence of the original, text[start:end], and how central it is (cosine to the mean, less for a late one)."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Summary:
    """The summary; an encoder's picks are marked in the original, in its order."""

    summary_text: str
    picked: tuple[PickedSentence, ...]
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()
    parts: tuple[Part, ...] = ()
    """What a text that an encoder-decoder cannot read at once was summarised in, all rounds in order."""

    @property
    def result(self) -> list[dict[str, str]]:
        """The same as the transformers pipeline returned: [{summary_text}]."""
        return [{"summary_text": self.summary_text}]


@dataclass(frozen=True)
class _Shortened:
    text: str
    picked: tuple[PickedSentence, ...] = ()
    notes: tuple[Sentence, ...] = ()
    parts: tuple[Part, ...] = ()


def summarize(
    settings: SummarizationSettings, registry: Registry, lane: Lane = INTERACTIVE, told: Told | None = None
) -> Summary:
    """Shorten one text; raises InvalidInput, ModelError, HubError or Cancelled in words.

    A stop keeps the parts of a long text that are summarised, and says how many; it is Cancelled if there are none.
    """
    started = time.perf_counter()
    with borrow(registry, settings.spec(registry, TASK), [settings.text], lane) as model:
        (made,) = _shortened([settings.text], _Desk(settings, registry, model, lane, told, keep=True))
        notes = (*made.notes, *unread(settings, model), *script_notes(model, settings.text))
        provenance = model.provenance(time.perf_counter() - started)
    return Summary(made.text, made.picked, with_notes(provenance, notes), notes, made.parts)


def summarize_texts(
    texts: Sequence[str], settings: SummarizationSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[list[dict[str, str]]]:
    """Shorten many texts with a borrowed model: one pipeline result a text, in order."""
    made = _shortened(texts, _Desk(settings, registry, model, replace(lane, report=None)))
    if lane.on_cut:
        lane.on_cut(place for place, one in enumerate(made) if any(note.key in CUTS for note in one.notes))
    return [[{"summary_text": one.text}] for one in made]


@dataclass(frozen=True)
class _Desk:
    """Where texts are shortened with a borrowed model."""

    settings: SummarizationSettings
    registry: Registry
    model: LoadedModel
    lane: Lane
    told: Told | None = None
    keep: bool = False
    """A stop leaves what is done."""


def _shortened(texts: Sequence[str], desk: _Desk) -> list[_Shortened]:
    return _written(texts, desk) if _writes(desk.model) else [_pick(text, desk) for text in texts]


def _writes(model: LoadedModel) -> bool:
    """Tell whether the model writes new sentences; any other one picks some of the text's."""
    return bool(getattr(model.model.config, "is_encoder_decoder", False))


def unread(settings: SummarizationSettings, model: LoadedModel) -> tuple[Sentence, ...]:
    """Say which settings that somebody chose play no part, for this kind of model does not read them."""
    usual = {field.name: field.default for field in dataclasses.fields(settings)}
    of_others = ONLY_PICKED if _writes(model) else ONLY_WRITTEN
    names = ", ".join(name for name in of_others if getattr(settings, name) != usual[name])
    if not names:
        return ()
    return (say("say.unread_by_writer", names=names) if _writes(model) else say("say.unread_by_picker", names=names),)


def _pick(text: str, desk: _Desk) -> _Shortened:
    """Take the most central sentences, each new to those before it; a text that is short enough stays whole."""
    settings, spans, encoder = desk.settings, _sentences(text), as_encoder(desk.model)
    encoded = encode(encoder, [text[span.start : span.end] for span in spans])
    vectors = embed(desk.registry, encoder, encoded, "mean", desk.lane)
    scores = centrality(vectors)
    lengths = _lengths([_join(text, [span]) for span in spans], encoder) if settings.max_length else ()
    chosen = sorted(most_central(vectors, scores, settings.sentences, lengths, settings.max_length))
    picked = tuple(PickedSentence(spans[one].start, spans[one].end, float(scores[one])) for one in chosen)
    taken = sum(lengths[one] for one in chosen) if lengths else 0
    notes = (*_cut(encoded, encoder), *_told(settings, len(spans), len(chosen), taken))
    whole = len(chosen) == len(spans)
    return _Shortened(text.strip() if whole else _join(text, [spans[one] for one in chosen]), picked, notes)


def _lengths(sentences: Sequence[str], model: LoadedModel) -> list[int]:
    """Count the tokens that sentences add to a summary: without the special ones around a text."""
    return [len(ids) for ids in tokenize(model, sentences, add_special_tokens=False, truncation=False)["input_ids"]]


def _cut(encoded: Sequence[Encoded], encoder: LoadedModel) -> Iterator[Sentence]:
    if cut := sum(one.length > encoder.max_length for one in encoded):
        yield say("say.sentences_cut", count=cut, read=encoder.max_length)


def _told(settings: SummarizationSettings, there: int, chosen: int, length: int) -> Iterator[Sentence]:
    """Say why there are fewer sentences than were asked for: the text has no more, or they would be too long."""
    asked, most = settings.sentences, settings.max_length
    if chosen < min(asked, there):
        yield say("say.summary_fewer", count=chosen, asked=asked, most=most)
    if most < length:
        yield say("say.summary_longer", length=length, most=most)
    if chosen == there:
        yield say("say.text_given_back", sentences=there, asked=asked)


def _sentences(text: str) -> tuple[Span, ...]:
    """Return the sentences that hold a letter or digit, or all if none does."""
    every = split_sentences(text)
    spans = tuple(span for span in every if any(map(str.isalnum, text[span.start : span.end]))) or every
    if len(spans) > MOST_SENTENCES:
        raise InvalidInput("error.too_many_sentences", sentences=len(spans), limit=MOST_SENTENCES)
    return spans


def centrality(vectors: torch.Tensor) -> torch.Tensor:
    """Return for each sentence (sentences, hidden) its cosine to the mean of all, less up to POSITION_PRIOR at the end.

    Centroid summarisation (Radev et al. 2004) on sentence embeddings; the prior is the lead bias of most texts. Without
    it, the most central sentence of 619 abstracts of SciTLDR has ROUGE-1 0.3411 and ROUGE-L 0.2595, the first sentence
    0.3018 and 0.2373 (`python -m recipes.measure embeddings --data DATA`).
    """
    import torch

    centroid = unit_length(vectors).mean(0, keepdim=True)
    return cosines(vectors, centroid)[:, 0] - POSITION_PRIOR * torch.linspace(0, 1, len(vectors))


def most_central(
    vectors: torch.Tensor, scores: torch.Tensor, count: int, lengths: Sequence[int] = (), most: int = 0
) -> list[int]:
    """Return the places of `count` sentences, best first, each weighed by its likeness to those already taken.

    Where `most` is given, they have no more tokens together, by their `lengths`; if none is that short, the best one.
    """
    import torch

    chosen: list[int] = []
    likeness = torch.zeros(len(vectors))
    tokens, room = torch.tensor(lengths if most else [0] * len(vectors)), most
    for _ in range(min(count, len(vectors))):
        value = RELEVANCE * scores - (1 - RELEVANCE) * likeness - 10.0 * (likeness > SAME)
        value[chosen] = float("-inf")
        if chosen or (tokens <= room).any():
            value[tokens > room] = float("-inf")
        best = int(value.argmax())
        if value[best] == float("-inf"):
            break
        chosen.append(best)
        room -= int(tokens[best])
        likeness = torch.maximum(likeness, cosines(vectors, vectors[best : best + 1])[:, 0])
    return chosen


def _join(text: str, spans: Sequence[Span]) -> str:
    """Put sentences behind each other, with a space where their script has one; a line break inside becomes a space."""
    joined = ""
    for span in spans:
        space = " " if joined and not _NO_SPACE_BEHIND.search(joined[-8:]) else ""
        joined += space + " ".join(text[span.start : span.end].split())
    return joined


def _written(texts: Sequence[str], desk: _Desk) -> list[_Shortened]:
    model = desk.model
    own = dict((getattr(model.model.config, "task_specific_params", None) or {}).get(TASK) or {})
    options = options_of(desk.settings, own, model.model)
    writer = Writer(model, options, str(own.get("prefix") or ""), desk.registry, desk.lane)
    made = write_summaries(texts, writer, desk.told or (lambda _: None), keep=desk.keep)
    return [_Shortened(one.text, (), one.notes, one.parts) for one in made]


def options_of(settings: SummarizationSettings, own: Mapping[str, Any], model: Any) -> WritingOptions:
    """Return how to write with a `model` of transformers: as asked, else as its files say, the task's (`own`) first.

    Of a pair of lengths, one asked and one the model's own, the model's gives way.
    """
    general = own_length(model)
    longest = settings.max_length or own.get("max_length") or (general + 1 if general else USUAL_MAX_LENGTH)
    shortest = settings.min_length or own.get("min_length") or model.generation_config.min_length or 0
    longest = int(longest if settings.max_length else max(longest, shortest if settings.min_length else 0))
    beams = int(settings.num_beams or own.get("num_beams") or own_beams(model))
    of_beams = {name: own.get(name) for name in ("length_penalty", "early_stopping")} if beams > 1 else {}
    ngrams = settings.no_repeat_ngram_size or own.get("no_repeat_ngram_size")
    new = max(longest - 1, 1)  # lengths count the token that starts the decoder
    return writing_options(
        model, beams, new, min_length=min(int(shortest), longest), no_repeat_ngram_size=ngrams, **of_beams
    )
