"""A text goes on: token by token from a causal language model, with the candidates at each place."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from core import fields
from core.compute.decoding import Token
from core.errors import InvalidInput
from core.events import CancelToken
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.seeds import drawn
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane, borrow, tokenize, with_notes
from core.tasks.text.request import Request
from core.tasks.text.sampling import GenerationOptions, unused
from core.tasks.text.taught import script_notes
from core.tasks.text.writing import UNFINISHED, Told, decoded, tokens_per_second, write, write_many
from core.words import Sentence, say

TASK = "text-generation"
CONTEXT = 4
"""Tokens of the prompt that the first one is decoded with; they hold its last character, which takes up to four."""
MOST_PIECES = 300
"""The first tokens of a row, which are told with their candidates: a page with more of them becomes slow."""
TEXTS_TOGETHER = 16
"""Rows of a table that are written side by side; where one ends the next begins."""


@dataclass(frozen=True, kw_only=True)
class TextGenerationSettings(GenerationOptions):
    """The beginning of a text, and how it goes on."""

    prompt: str = fields.text(limit=LIMITS.text_characters)
    candidates: int = fields.number(5, low=0, high=50)
    """Most probable tokens shown at each place."""


@dataclass(frozen=True)
class Continuation:
    """What one row wrote, why it ended ("eos", "stop", "length" or "stopped"), and how many tokens it has."""

    text: str
    reason: str
    count: int
    tokens: tuple[Piece, ...]
    """The first MOST_PIECES of them."""
    rest: str = ""
    """What is written behind these."""


@dataclass(frozen=True)
class Piece:
    """What one token adds to the text, its probability, and the candidates (text, probability) in its place.

    A token that begins a character of several tokens adds nothing; the one that ends it adds it whole.
    """

    text: str
    probability: float
    candidates: tuple[Candidate, ...] = ()
    special: str = ""
    """The name of a token that is no text: the end, say."""


class Candidate(NamedTuple):
    """What a token would add to the text, and its probability; a special token adds nothing and has a name."""

    text: str
    probability: float
    special: str = ""


@dataclass(frozen=True)
class Generation:
    """The prompt with its continuations, and how fast they came."""

    prompt: str
    continuations: tuple[Continuation, ...]
    first_token_seconds: float
    tokens_per_second: float
    """Of all rows together, from the first token on."""
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> list[dict[str, str]]:
        """The same as the transformers pipeline returns: [{generated_text}], the prompt included."""
        return [{"generated_text": self.prompt + one.text} for one in self.continuations]

    @property
    def details(self) -> dict[str, Any]:
        """What the pipeline does not tell, as JSON: speed, why each row ended, its first tokens with candidates."""
        return {
            "tokens_per_second": round(self.tokens_per_second, 2),
            "first_token_seconds": round(self.first_token_seconds, 4),
            "continuations": [_details(one) for one in self.continuations],
        }


def generate_text(
    settings: TextGenerationSettings, registry: Registry, lane: Lane = INTERACTIVE, told: Told | None = None
) -> Generation:
    """Continue the prompt; raises InvalidInput, ModelError, HubError or Cancelled in words.

    A stop ends the text within a token and keeps what was written; it is Cancelled only if that is nothing.
    """
    started = time.perf_counter()
    seed = drawn(settings.seed)
    with borrow(registry, settings.spec(registry, TASK), [settings.prompt], lane, settings.num_beams) as model:
        ids, cut = _prompt(settings.prompt, settings, model)
        notes = (*cut, *unused(settings), *script_notes(model, settings.prompt))
        cancel = lane.cancel or CancelToken()
        request = Request(
            ids, settings, seed, cancel, candidates=settings.candidates, report=lane.report, behind=ids[-CONTEXT:]
        )
        written = write(request, registry, model, told, keep=True)
        pairs = zip(written.rows, written.reasons, strict=True)
        rows = tuple(_continuation(model, ids, row, why) for row, why in pairs)
        provenance = model.provenance(time.perf_counter() - started, seed if settings.do_sample else None)
    speed = tokens_per_second(written)
    return Generation(settings.prompt, rows, written.first_token_seconds, speed, with_notes(provenance, notes), notes)


def continue_texts(
    texts: Sequence[str], settings: TextGenerationSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[list[dict[str, str]]]:
    """Continue many texts with a borrowed model, some side by side: one pipeline result a text, in order."""
    prompts = [_prompt(text, settings, model) for text in texts]
    cancel = lane.cancel or CancelToken()
    requests = [
        Request(ids, settings, drawn(settings.seed), cancel, probabilities=False, background=lane.background)
        for ids, _ in prompts
    ]
    written = write_many(requests, registry, model, at_once=TEXTS_TOGETHER)
    if lane.on_cut:
        lane.on_cut(place for place, (_, notes) in enumerate(prompts) if notes)
    rows = (
        decoded(model.tokenizer, [token.id for token in one.rows[0]], ids[-CONTEXT:])
        for one, (ids, _) in zip(written, prompts, strict=True)
    )
    return [[{"generated_text": text + row}] for text, row in zip(texts, rows, strict=True)]


def _prompt(
    prompt: str, settings: TextGenerationSettings, model: LoadedModel
) -> tuple[list[int], tuple[Sentence, ...]]:
    """Tokenize the prompt; a long one keeps its end, so that there is room for what is asked."""
    ids: list[int] = tokenize(model, [prompt], add_special_tokens=True)["input_ids"][0]
    ids = ids[:-1] if ids and ids[-1] == model.tokenizer.eos_token_id else ids
    room = model.max_length - settings.max_new_tokens
    if room < 1:
        raise InvalidInput("error.no_room_for_prompt", asked=settings.max_new_tokens, limit=model.max_length)
    if len(ids) <= room:
        return ids, ()
    return ids[-room:], (say("say.prompt_cut", read=room, length=len(ids)),)


def _continuation(model: LoadedModel, prompt: Sequence[int], tokens: Sequence[Token], reason: str) -> Continuation:
    first, behind = tokens[:MOST_PIECES], prompt[-CONTEXT:]
    text, begun = (decoded(model.tokenizer, [token.id for token in part], behind) for part in (tokens, first))
    rest = text[len(begun.rstrip(UNFINISHED)) :] if len(tokens) > MOST_PIECES else ""
    return Continuation(text, reason, len(tokens), tuple(_pieces(model, behind, first)), rest)


def _details(row: Continuation) -> dict[str, Any]:
    tokens = [
        {
            "text": token.text,
            "probability": round(token.probability, 6),
            "special": token.special,
            "candidates": [{**one._asdict(), "probability": round(one.probability, 6)} for one in token.candidates],
        }
        for token in row.tokens
    ]
    return {"reason": row.reason, "count": row.count, "tokens": tokens}


def _pieces(model: LoadedModel, prompt: Sequence[int], tokens: Sequence[Token]) -> Iterator[Piece]:
    """Decode each token behind the last whole characters before it."""
    ids = [*prompt, *(token.id for token in tokens)]
    start, known = 0, len(prompt)
    for place, token in enumerate(tokens, start=known):
        piece = _piece(model, ids[start:place], token)
        yield piece
        if piece.text:
            start, known = known, place + 1


def _piece(model: LoadedModel, before: Sequence[int], token: Token) -> Piece:
    old, names = _text(model, before), _special_names(model)

    def added(id_: int) -> str:
        new = _text(model, [*before, id_])
        return new[len(old) :] if new.startswith(old) else ""

    candidates = tuple(Candidate(added(id_), chance, names.get(id_, "")) for id_, chance in token.candidates)
    return Piece(added(token.id), token.probability, candidates, names.get(token.id, ""))


def _special_names(model: LoadedModel) -> dict[int, str]:
    tokenizer = model.tokenizer
    return dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))


def _text(model: LoadedModel, ids: Sequence[int]) -> str:
    """Decode up to the last whole character."""
    return str(model.tokenizer.decode(ids, skip_special_tokens=True)).rstrip(UNFINISHED)
