"""Which words fit the gaps of a text: each gap's candidates, and one reading of the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from core import fields
from core.errors import InvalidInput, ModelError
from core.models.loading import USUAL_POSITIONS, LoadedModel
from core.models.registry import Registry
from core.placement.model_facts import ModelFacts, Needs, Working, text_working
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import (
    BYTES_A_TOKEN,
    INTERACTIVE,
    Encoded,
    Lane,
    encode,
    forward,
    tokenize,
    with_notes,
)
from core.tasks.text.masks import GENERIC, after_space, part_with_masks, with_mask_token
from core.tasks.text.options import ModelOptions
from core.tasks.text.targets import target_tokens
from core.tasks.text.taught import script_notes
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

TASK = "fill-mask"
MOST_MASKS = 20
"""Masks in one text: each is one more row of scores for the whole vocabulary."""
GUESSES = 10
"""Candidates looked at for a reading: among so many there is a word, and not only special tokens."""


@dataclass(frozen=True, kw_only=True)
class FillMaskSettings(ModelOptions):
    """A text with gaps, how many candidates each gets, and the words they are chosen from, if not from all."""

    text: str = fields.text(limit=LIMITS.text_characters)
    top_k: int = fields.number(5, low=1, high=50)
    targets: str = fields.text(limit=5_000, optional=True)

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits."""
        super().__post_init__()
        if len(self.target_list) > LIMITS.labels:
            raise InvalidInput("error.too_many_targets", count=len(self.target_list), limit=LIMITS.labels)

    @property
    def target_list(self) -> tuple[str, ...]:
        """The words to choose from, in order; empty = the whole vocabulary."""
        return tuple(dict.fromkeys(fields.comma_separated(self.targets)))


@dataclass(frozen=True)
class Candidate:
    """A token for a gap, its probability there, and the text with it."""

    score: float
    token: int
    token_str: str
    sequence: str

    @property
    def result(self) -> dict[str, Any]:
        """The same as the transformers pipeline returns: {score, token, token_str, sequence}."""
        return dict(vars(self))


@dataclass(frozen=True)
class FilledMasks:
    """Each gap with its candidates, the likeliest first."""

    part: str
    """What was read of the text, every gap written as the model's own mask token."""
    mask_token: str
    masks: tuple[tuple[Candidate, ...], ...]
    reading: tuple[str, ...]
    """For several gaps, a token for each, chosen one after another with those before in place."""
    targets: tuple[str, ...]
    """The tokens that the candidates were chosen from, as the vocabulary spells them; empty = all."""
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> list[Any]:
        """The same as the transformers pipeline returns: [{score, token, token_str, sequence}], or a list a gap."""
        return _result(self.masks)


@dataclass(frozen=True)
class _Best:
    """Takes the likeliest tokens of each mask: (id, probability), the likeliest first; `targets` are token ids."""

    top_k: int
    targets: tuple[int, ...] = ()

    def __call__(self, logits: Sequence[torch.Tensor], _: torch.Tensor) -> list[list[list[tuple[int, float]]]]:
        return [[self._of_mask(row) for row in rows.softmax(-1)] for rows in logits]

    def _of_mask(self, chances: torch.Tensor) -> list[tuple[int, float]]:
        chosen = chances[list(self.targets)] if self.targets else chances
        best = chosen.topk(min(self.top_k, len(chosen)))
        ids = [self.targets[place] if self.targets else place for place in best.indices.tolist()]
        return list(zip(ids, best.values.tolist(), strict=True))


Forward = Callable[[Sequence[Encoded], _Best], list[Any]]
"""(texts, what to take) → for each text its masks' likeliest tokens."""


def fill_masks(settings: FillMaskSettings, registry: Registry, lane: Lane = INTERACTIVE) -> FilledMasks:
    """Fill the gaps of one text; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    spec = settings.spec(registry, TASK)
    with registry.borrow(spec, _needs(settings.text), lane.cancel, lane.report) as model:
        text, encoded = _with_masks(model, *_encoded(model, [settings.text])[0])
        targets, notes = target_tokens(model, settings.target_list, text)
        ask: Forward = partial(forward, registry, model, lane=lane, ask=_ask_at_masks)
        masks = _candidates(model, encoded, ask([encoded], _Best(settings.top_k, targets))[0])
        reading = _reading(model, encoded, _Best(GUESSES, targets), ask) if len(masks) > 1 else ()
        if encoded.length > model.max_length:
            notes = (say("say.text_around_masks", read=len(encoded.ids), length=encoded.length), *notes)
        notes = (*notes, *script_notes(model, text.replace(_mask_token(model), "")))
        provenance = with_notes(model.provenance(time.perf_counter() - started), notes)
        names = tuple(model.tokenizer.convert_ids_to_tokens(list(targets)))
        return FilledMasks(text, _mask_token(model), masks, reading, names, provenance, notes)


def fill_masks_of_texts(
    texts: Sequence[str], settings: FillMaskSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[Any]:
    """Fill the gaps of many texts with a borrowed model: one pipeline result a text, in order.

    A text that is refused, for it has no gap, say, has its InvalidInput in the place of a result.
    """
    results: list[Any] = [_or_refusal(model, text, encoded) for text, encoded in _encoded(model, texts)]
    good = [place for place, one in enumerate(results) if isinstance(one, Encoded)]
    if lane.on_cut:
        lane.on_cut({place for place in good if results[place].length > model.max_length})
    for targets, places in _by_targets(model, settings, texts, good).items():
        asked = [results[place] for place in places]
        found = forward(registry, model, asked, _Best(settings.top_k, targets), lane, _ask_at_masks)
        for place, encoded, masks in zip(places, asked, found, strict=True):
            results[place] = _result(_candidates(model, encoded, masks))
    return results


def _by_targets(
    model: LoadedModel, settings: FillMaskSettings, texts: Sequence[str], places: Sequence[int]
) -> dict[tuple[int, ...], list[int]]:
    """Return which of the texts choose from the same tokens: a word may be another one behind a space."""
    mask = _mask_token(model)
    marked = {place: with_mask_token(texts[place], mask) for place in places}
    alike: dict[bool, list[int]] = {}
    for place, text in marked.items():
        alike.setdefault(after_space(text, mask), []).append(place)
    groups: dict[tuple[int, ...], list[int]] = {}
    for members in alike.values():
        words = settings.target_list
        targets = target_tokens(model, words, marked[members[0]])[0] if words else ()
        groups.setdefault(targets, []).extend(members)
    return groups


def _result(masks: Sequence[Sequence[Candidate]]) -> list[Any]:
    rows = [[one.result for one in mask] for mask in masks]
    return rows[0] if len(rows) == 1 else rows


def _mask_token(model: LoadedModel) -> str:
    if model.tokenizer.mask_token_id is None:
        raise ModelError("error.no_mask_token", name=model.spec.name)
    return str(model.tokenizer.mask_token)


def _encoded(model: LoadedModel, texts: Sequence[str]) -> list[tuple[str, Encoded]]:
    """Return each text with the model's own mask tokens, and its tokens, those of a long one cut."""
    written = [with_mask_token(text, _mask_token(model)) for text in texts]
    return list(zip(written, encode(model, written), strict=True))


def _or_refusal(model: LoadedModel, text: str, encoded: Encoded) -> Encoded | InvalidInput:
    try:
        return _with_masks(model, text, encoded)[1]
    except InvalidInput as refusal:
        return refusal


def _with_masks(model: LoadedModel, text: str, encoded: Encoded) -> tuple[str, Encoded]:
    """Return what is read of a text: all, or the part with its masks; raises InvalidInput if there is none."""
    mask_token = _mask_token(model)
    count = text.count(mask_token)
    if not count:
        raise InvalidInput("error.no_mask", mask=mask_token)
    if count > MOST_MASKS:
        raise InvalidInput("error.too_many_masks", count=count, limit=MOST_MASKS)
    if encoded.length <= model.max_length:
        return text, encoded
    if not model.tokenizer.is_fast:
        raise ModelError("error.no_offsets", name=model.spec.name)
    part = part_with_masks(text, mask_token, partial(tokenize, model), model.max_length)
    if not part:
        raise InvalidInput("error.masks_too_far_apart", limit=model.max_length)
    return part, replace(encode(model, [part])[0], length=encoded.length)


def _needs(text: str) -> Needs:
    """Return what one pass over the text holds, with the scores of the whole vocabulary at each mask."""
    masks = min(len(GENERIC.findall(text)) or 1, MOST_MASKS)
    tokens = len(text.encode(errors="replace")) // BYTES_A_TOKEN + 1

    def working(facts: ModelFacts) -> Working:
        used = text_working(facts, 1, min(tokens, facts.positions or USUAL_POSITIONS))
        scores = masks * facts.embedding_parameters // max(facts.hidden_size, 1)
        return replace(used, forward_values=used.forward_values + 2 * scores)  # and their probabilities

    return working


def _ask_at_masks(model: LoadedModel, inputs: dict[str, torch.Tensor]) -> Sequence[torch.Tensor]:
    """Run the model, but turn hidden states into words at the masks only: logits (masks, vocabulary) of each text.

    Most of a small model's work is the product with its vocabulary, and most of its memory the result.
    """
    masked = inputs["input_ids"] == model.tokenizer.mask_token_id
    with _only_at(masked, model.model.get_output_embeddings()):
        logits = model.model(**inputs).logits
    rows = logits if logits.ndim == masked.ndim else logits[masked]
    return list(rows.float().cpu().split(masked.sum(-1).tolist()))


@contextmanager
def _only_at(masked: torch.Tensor, to_words: Any) -> Iterator[None]:
    """Let a layer see only the hidden states (batch, length, hidden) where `masked` (batch, length) is true."""
    if to_words is None:
        yield
        return
    hook = to_words.register_forward_pre_hook(lambda _, states: (states[0][masked], *states[1:]))
    try:
        yield
    finally:
        hook.remove()


def _candidates(
    model: LoadedModel, encoded: Encoded, found: Sequence[Sequence[tuple[int, float]]]
) -> tuple[tuple[Candidate, ...], ...]:
    """Write each candidate, and the text with it, as the transformers pipeline does."""
    tokenizer, ids = model.tokenizer, encoded.ids
    places = [place for place, token in enumerate(ids) if token == tokenizer.mask_token_id]

    def candidate(place: int, token: int, score: float) -> Candidate:
        filled = (*ids[:place], token, *ids[place + 1 :])
        kept = [one for one in filled if one != tokenizer.pad_token_id]
        sequence = tokenizer.decode(kept, skip_special_tokens=len(places) == 1)
        return Candidate(score, token, tokenizer.decode([token]), sequence)

    return tuple(
        tuple(candidate(place, token, score) for token, score in best)
        for place, best in zip(places, found, strict=True)
    )


def _reading(model: LoadedModel, encoded: Encoded, best: _Best, ask: Forward) -> tuple[str, ...]:
    """Fill one gap after another, the surest first, each time asking anew with those before in place."""
    special, ids = set(model.tokenizer.all_special_ids), list(encoded.ids)
    left = [place for place, token in enumerate(ids) if token == model.tokenizer.mask_token_id]
    words: dict[int, str] = {}
    while left:
        found = ask([replace(encoded, ids=tuple(ids))], best)[0]
        options = [(chance, place, token) for place, row in zip(left, found, strict=True) for token, chance in row]
        options = [one for one in options if one[2] not in special]
        if not options:
            return ()
        _, place, token = max(options)
        ids[place] = token
        words[place] = model.tokenizer.decode([token])
        left.remove(place)
    return tuple(words[place] for place in sorted(words))
