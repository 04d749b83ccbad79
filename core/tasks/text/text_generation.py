"""A text goes on: token by token from a causal language model, with the candidates at each place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core import fields
from core.decoding import Token, Writing, Written
from core.errors import InvalidInput
from core.events import CancelToken
from core.loading import LoadedModel
from core.promises import cache_bytes
from core.provenance import Provenance
from core.registry import Registry
from core.settings import LIMITS
from core.tasks.text.beams import Request, write_with_beams
from core.tasks.text.encoder import INTERACTIVE, Lane, borrow, tokenize, with_notes
from core.tasks.text.sampling import GenerationOptions, rule
from core.tasks.text.seeds import drawn
from core.words import Sentence, say

TASK = "text-generation"


@dataclass(frozen=True, kw_only=True)
class TextGenerationSettings(GenerationOptions):
    """The beginning of a text, and how it goes on."""

    prompt: str = fields.text(limit=LIMITS.text_characters)
    candidates: int = fields.number(5, low=0, high=50)
    """Most probable tokens shown at each place."""


@dataclass(frozen=True)
class Continuation:
    """What one row wrote, its tokens as texts, and why it ended: "eos", "stop" or "length"."""

    text: str
    tokens: tuple[Piece, ...]
    reason: str


@dataclass(frozen=True)
class Piece:
    """One token as text, its probability, and the candidates (text, probability) in its place."""

    text: str
    probability: float
    candidates: tuple[tuple[str, float], ...] = ()


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


Told = Callable[[Sequence[str]], None]
"""Told the text of each row so far, whenever there is more."""


def generate_text(
    settings: TextGenerationSettings, registry: Registry, lane: Lane = INTERACTIVE, told: Told | None = None
) -> Generation:
    """Continue the prompt; raises InvalidInput, ModelError, HubError or Cancelled in words."""
    started = time.perf_counter()
    seed = drawn(settings.seed)
    with borrow(registry, settings.spec(registry, TASK), [settings.prompt], lane, settings.num_beams) as model:
        ids, notes = _prompt(settings, model)
        request = Request(ids, settings, seed, lane.cancel or CancelToken())
        most = cache_bytes(model.model, settings.rows, len(ids) + settings.max_new_tokens)
        with registry.promise(model, most, request.cancel):
            if settings.num_beams > 1:
                written = write_with_beams(request, registry, model)
            else:
                written = _write(request, registry, model, told)
        rows = tuple(_continuation(model, row, why) for row, why in zip(written.rows, written.reasons, strict=True))
        provenance = model.provenance(time.perf_counter() - started, seed if settings.do_sample else None)
    return Generation(
        settings.prompt, rows, written.first_token_seconds, _rate(written), with_notes(provenance, notes), notes
    )


def _write(request: Request, registry: Registry, model: LoadedModel, told: Told | None) -> Written:
    """Write token by token beside other visitors' texts."""
    settings, count = request.settings, request.settings.num_return_sequences
    how = rule(settings, model, len(request.ids), request.seed, settings.candidates)
    writing = Writing(request.ids, how, count, cancel=request.cancel)
    if told:
        writing.told = _Teller(model.tokenizer, count, told)
    return registry.batcher.write(model.model, writing)


def _prompt(settings: TextGenerationSettings, model: LoadedModel) -> tuple[list[int], tuple[Sentence, ...]]:
    """Tokenize the prompt; a long one keeps its end, so that there is room for what is asked."""
    ids: list[int] = tokenize(model, [settings.prompt], add_special_tokens=True)["input_ids"][0]
    ids = ids[:-1] if ids and ids[-1] == model.tokenizer.eos_token_id else ids
    room = model.max_length - settings.max_new_tokens
    if room < 1:
        raise InvalidInput("error.no_room_for_prompt", asked=settings.max_new_tokens, limit=model.max_length)
    if len(ids) <= room:
        return ids, ()
    return ids[-room:], (say("say.prompt_cut", read=room, length=len(ids)),)


@dataclass
class _Teller:
    """Decodes what each row has written so far; a character that is not whole yet is left for the next time."""

    tokenizer: Any
    count: int
    told: Told

    def __post_init__(self) -> None:
        self._ids: list[list[int]] = [[] for _ in range(self.count)]

    def __call__(self, tokens: Sequence[Token | None]) -> None:
        for ids, token in zip(self._ids, tokens, strict=True):
            if token is not None:
                ids.append(token.id)
        self.told([self.tokenizer.decode(ids, skip_special_tokens=True).rstrip("\ufffd") for ids in self._ids])


def _continuation(model: LoadedModel, tokens: Sequence[Token], reason: str) -> Continuation:
    text = str(model.tokenizer.decode([token.id for token in tokens], skip_special_tokens=True))
    return Continuation(text, tuple(_piece(model, token) for token in tokens), reason)


def _piece(model: LoadedModel, token: Token) -> Piece:
    candidates = tuple((_text(model, id_), chance) for id_, chance in token.candidates)
    return Piece(_text(model, token.id), token.probability, candidates)


def _text(model: LoadedModel, id_: int) -> str:
    return str(model.tokenizer.decode([id_]))


def _rate(written: Written) -> float:
    count = sum(len(row) for row in written.rows) - len(written.rows)
    seconds = written.seconds - written.first_token_seconds
    return count / seconds if count > 0 and seconds > 0 else 0.0
