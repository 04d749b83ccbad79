"""Which words of this text name something: persons, places, organisations, or parts of speech."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.fields import choice, number, text
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane, borrow, forward, read_token_logits, with_notes
from core.tasks.text.options import ModelOptions
from core.tasks.text.taught import script_notes
from core.tasks.text.windows import Cut, Window, windows
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

TASK = "token-classification"
STRATEGIES = ("none", "simple", "first", "average", "max")
WORD_STRATEGIES = ("first", "average", "max")
"""These give all tokens of a word one label."""


@dataclass(frozen=True, kw_only=True)
class TokenClassificationSettings(ModelOptions):
    """One text, how tokens are grouped, and how many tokens neighbouring windows of a long text share."""

    text: str = text(limit=LIMITS.text_characters)
    aggregation_strategy: str = choice("first", STRATEGIES)
    """"first" takes a word's label from its first piece, as most models were trained; "simple" may cut a word."""
    stride: int = number(64, low=0, high=1024)


@dataclass(frozen=True)
class Entity:
    """Characters start … end - 1 of the text, and what they are called; `word` is the tokenizer's spelling of them."""

    label: str
    score: float
    word: str
    start: int
    end: int
    index: int | None = None
    """The token's place, special tokens counted; None for a group of tokens."""

    @property
    def result(self) -> dict[str, Any]:
        """The same as the transformers pipeline returns: {entity_group (or entity, index), score, word, start, end}."""
        place = {"word": self.word, "start": self.start, "end": self.end}
        if self.index is None:
            return {"entity_group": self.label, "score": self.score, **place}
        return {"entity": self.label, "score": self.score, "index": self.index, **place}


@dataclass(frozen=True)
class TokenClassification:
    """What was found in a text, in reading order."""

    text: str
    entities: tuple[Entity, ...]
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> list[dict[str, Any]]:
        """The same as the transformers pipeline returns: [{entity_group, score, word, start, end}]."""
        return [entity.result for entity in self.entities]

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each label was given, the most frequent first."""
        return dict(Counter(entity.label for entity in self.entities).most_common())

    @property
    def segments(self) -> tuple[tuple[str, str | None], ...]:
        """The whole text in pieces, each with its label or None: what a page colours."""
        return tuple(segments(self.text, self.entities))


def classify_tokens(
    settings: TokenClassificationSettings, registry: Registry, lane: Lane = INTERACTIVE
) -> TokenClassification:
    """Find the entities of one text; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    with borrow(registry, settings.spec(registry, TASK), [settings.text], lane) as model:
        entities = _entities([settings.text], settings, registry, model, lane)[0]
        notes = (*_notes(model, settings.aggregation_strategy), *script_notes(model, settings.text))
        provenance = model.provenance(time.perf_counter() - started)
    return TokenClassification(settings.text, entities, with_notes(provenance, notes), notes)


def classify_tokens_of_texts(
    texts: Sequence[str], settings: TokenClassificationSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[list[dict[str, Any]]]:
    """Find the entities of many texts with a borrowed model: one pipeline result a text, in order."""
    found = _entities(texts, settings, registry, model, lane)
    return [[entity.result for entity in entities] for entities in found]


def segments(text: str, entities: Sequence[Entity]) -> Iterator[tuple[str, str | None]]:
    """Cut `text` at its entities; joined again the pieces are the text, and no character is in two of them."""
    done = 0
    for entity in sorted(entities, key=lambda entity: entity.start):
        start = max(entity.start, done)
        if entity.end <= start:  # a sign that fills several tokens, such as an emoji, is coloured once
            continue
        if start > done:
            yield text[done:start], None
        yield text[start : entity.end], entity.label
        done = entity.end
    if done < len(text):
        yield text[done:], None


def _entities(
    texts: Sequence[str], settings: TokenClassificationSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[tuple[Entity, ...]]:
    cut = Cut(model.max_length, settings.stride)
    parts = windows(model, texts, cut)
    logits = iter(forward(registry, model, [part.encoded for one in parts for part in one], read_token_logits, lane))
    pipeline = _pipeline(model)
    strategy = settings.aggregation_strategy
    return [
        _aggregate(pipeline, _joined(text, one, [next(logits) for _ in one], cut.stride), strategy)
        for text, one in zip(texts, parts, strict=True)
    ]


def _joined(text: str, parts: Sequence[Window], logits: Sequence[torch.Tensor], stride: int) -> dict[str, Any]:
    """Put the windows together as if the model had read the text at once, in the shape of the pipeline's own output.

    Where two windows overlap, each token's logits come from the one in which it stands further from the edge. So no
    entity is found twice, and none is cut in two.
    """
    import torch

    kept = [
        (part, row, place)
        for number, (part, row) in enumerate(zip(parts, logits, strict=True))
        for place in _kept(part.tokens, number, len(parts), stride)
    ]
    return {
        "sentence": text,
        "logits": [torch.stack([row[place] for _, row, place in kept]) if kept else torch.empty(0, 1)],
        "input_ids": [[part.encoded.ids[place] for part, _, place in kept]],
        "offset_mapping": [[part.offsets[place] for part, _, place in kept]],
        "special_tokens_mask": [torch.tensor([place not in part.tokens for part, _, place in kept])],
    }


def _kept(tokens: range, number: int, count: int, stride: int) -> range:
    """Return the positions of window `number` that no neighbour reads better.

    The first window keeps its leading special tokens, so that an index means what it means in the pipeline.
    """
    half = stride // 2
    start = tokens.start + half if number else 0
    stop = tokens.stop - (stride - half) if number < count - 1 else tokens.stop
    return range(start, stop)


def _pipeline(model: LoadedModel) -> Any:
    """Return transformers' own pipeline around the model, for its rules of grouping; it computes nothing here."""
    import transformers

    # A device that is named would make the pipeline move the model; one that accelerate has laid out must stay.
    device = None if getattr(model.model, "hf_device_map", None) else model.model.device
    return transformers.TokenClassificationPipeline(model=model.model, tokenizer=model.tokenizer, device=device)


def _aggregate(pipeline: Any, output: dict[str, Any], strategy: str) -> tuple[Entity, ...]:
    """Group tokens: https://huggingface.co/docs/transformers/main_classes/pipelines tells what a strategy does."""
    from transformers.pipelines.token_classification import AggregationStrategy

    found = pipeline.postprocess([output], aggregation_strategy=AggregationStrategy(strategy))
    return tuple(_entity(one) for one in found)


def _entity(found: Mapping[str, Any]) -> Entity:
    """Take over one finding of the pipeline, whose numbers are numpy's."""
    return Entity(
        label=found["entity_group"] if "entity_group" in found else found["entity"],
        score=float(found["score"]),
        word=found["word"],
        start=int(found["start"]),
        end=int(found["end"]),
        index=found.get("index"),
    )


def _notes(model: LoadedModel, strategy: str) -> Iterator[Sentence]:
    """Say so where words are guessed: only a tokenizer with a mark for word parts, such as ##, knows them."""
    marks = getattr(model.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
    if strategy in WORD_STRATEGIES and not marks:
        yield say("say.words_by_spaces", strategy=strategy)
