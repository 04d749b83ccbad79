"""New texts from an encoder-decoder, many at once: padded batches through transformers' own `generate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import NotEnoughMemory
from core.events import CancelToken
from core.models.loading import LoadedModel
from core.models.promises import cache_bytes
from core.models.registry import Registry
from core.tasks.text.encoder import INTERACTIVE, Encoded, Lane, pack, padded_inputs, tokenize
from core.tasks.text.pauses import between_tokens

if TYPE_CHECKING:
    import torch

USUAL_HIDDEN = 1024
"""Width of a model whose configuration does not tell."""
NUMBERS_IN_A_STEP = 32_768
"""Numbers in the hidden states of one step: beyond some dozens of rows two cores gain no more, and others wait."""
FEWEST_ROWS, MOST_ROWS = 8, 128
COPIES_OF_SCORES = 4
"""Tables of float32 scores over the vocabulary that a step of beam search holds at once."""


@dataclass(frozen=True)
class WritingOptions:
    """How texts are written; `settings` go to `generate` beside these two."""

    num_beams: int
    max_new_tokens: int
    settings: Mapping[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """What to pass to `generate`: the length is among the settings, under the name that the model's file uses."""
        return {"num_beams": self.num_beams, "do_sample": False, **self.settings}


@dataclass(frozen=True)
class WrittenText:
    """The tokens of one text, without those that start, end and fill its row."""

    ids: tuple[int, ...]
    full: bool
    """It has as many tokens as were allowed, and did not end by itself, so its end may be missing."""

    def decoded(self, model: LoadedModel) -> str:
        """Return the text."""
        return str(model.tokenizer.decode(list(self.ids), skip_special_tokens=True)).strip()


Told = Callable[[Mapping[int, WrittenText]], None]
"""Told the texts of each batch when it is done, by their places."""


def writing_options(model: Any, num_beams: int, max_new_tokens: int, **settings: Any) -> WritingOptions:
    """Return how to write with a `model` of transformers; what is None is left to the model's own file.

    The number of tokens is bounded by the decoder's positions, and passed under the name that generation_config.json
    uses, for `generate` complains where both names have a number.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    longest = min(max_new_tokens, positions - 1) if positions else max_new_tokens
    own = model.generation_config
    by_length = own.max_length is not None and own.max_new_tokens is None
    length = {"max_length": longest + 1} if by_length else {"max_new_tokens": longest}
    if settings.get("min_length"):
        settings["min_length"] = min(settings["min_length"], longest + 1)
    return WritingOptions(
        num_beams, longest, {**length, **{name: one for name, one in settings.items() if one is not None}}
    )


def own_beams(model: Any) -> int:
    """Return the number of beams that generation_config.json asks for."""
    return int(model.generation_config.num_beams or 1)


def own_length(model: Any) -> int | None:
    """Return the number of new tokens that generation_config.json allows; None where it names none."""
    own = model.generation_config
    if own.max_new_tokens is not None:
        return int(own.max_new_tokens)
    return None if own.max_length is None else max(int(own.max_length) - 1, 1)  # it counts the token that starts


def write_texts(
    encoded: Sequence[Encoded],
    how: WritingOptions,
    registry: Registry,
    model: LoadedModel,
    lane: Lane = INTERACTIVE,
    told: Told = lambda _: None,
) -> list[WrittenText]:
    """Write one text for each of `encoded`, in order; greedy, each is what `generate` writes for it alone.

    Texts of like length go together, as many as a step can take. Others compute between two tokens; raises Cancelled
    one token after a stop, and NotEnoughMemory where not even a single text can be written.
    """
    found: dict[int, WrittenText] = {}
    for places in batches([len(one.ids) for one in encoded], how.num_beams, rows_at_once(model.model)):
        for part, written in _write(places, encoded, _Desk(how, registry, model, lane)):
            done = dict(zip(part, written, strict=True))
            found.update(done)
            told(done)
    return [found[place] for place in range(len(encoded))]


def token_counts(model: LoadedModel, texts: Sequence[str], language: str | None = None) -> list[int]:
    """Return how many tokens each text has, special ones included."""
    if not texts:
        return []
    return [len(ids) for ids in tokenize(model, texts, language=language, truncation=False)["input_ids"]]


def rows_at_once(model: Any) -> int:
    """Return how many rows (texts x beams) go through one step: a wider model takes longer for each."""
    width = getattr(model.config, "hidden_size", None) or USUAL_HIDDEN
    return min(max(NUMBERS_IN_A_STEP // int(width), FEWEST_ROWS), MOST_ROWS)


def batches(lengths: Sequence[int], beams: int, rows: int) -> Iterator[list[int]]:
    """Group places of like length, so that a group has at most `rows` rows, and fits one pass of the encoder."""
    texts = max(rows // beams, 1)
    for group in pack(lengths):
        yield from (group[first : first + texts] for first in range(0, len(group), texts))


def bytes_of_batch(model: Any, how: WritingOptions, texts: int, tokens: int) -> int:
    """Return the memory that writing takes beside the encoder's pass: keys and values of both halves, and scores."""
    rows = texts * how.num_beams
    scores = rows * int(model.config.vocab_size) * COPIES_OF_SCORES * 4
    return cache_bytes(model, rows, tokens + how.max_new_tokens + 1) + scores


@dataclass(frozen=True)
class _Desk:
    """Where a batch is written."""

    how: WritingOptions
    registry: Registry
    model: LoadedModel
    lane: Lane


def _write(places: list[int], encoded: Sequence[Encoded], desk: _Desk) -> Iterator[tuple[list[int], list[WrittenText]]]:
    """Write one batch, or its halves where it does not fit into what is free."""
    items = [encoded[place] for place in places]
    try:
        yield places, _write_together(items, desk)
    except NotEnoughMemory:
        if len(places) == 1:
            raise
        half = len(places) // 2
    else:
        return
    yield from _write(places[:half], encoded, desk)
    yield from _write(places[half:], encoded, desk)


def _write_together(items: Sequence[Encoded], desk: _Desk) -> list[WrittenText]:
    model, cancel = desk.model, desk.lane.cancel or CancelToken()
    needed = bytes_of_batch(model.model, desk.how, len(items), max(len(item.ids) for item in items))
    cancel.check()
    with desk.registry.promise(model, needed, cancel):
        rows = desk.registry.batcher.take_turns(
            lambda give_way: _generate(items, desk, give_way, cancel), background=desk.lane.background
        )
    cancel.check()
    return [_without_frame(row, desk.how, model.model.generation_config) for row in rows]


def _generate(
    items: Sequence[Encoded], desk: _Desk, give_way: Callable[[], None], cancel: CancelToken
) -> list[list[int]]:
    """Return each row as `generate` gives it: with the token that starts it, and padding behind its end."""
    import torch

    model = desk.model
    inputs = padded_inputs(model, items, side="right")  # many of these models count positions from the first token
    autocast = torch.autocast("cpu", torch.bfloat16) if desk.lane.mixes(model) else nullcontext()
    with torch.inference_mode(), autocast:
        written: torch.Tensor = model.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            stopping_criteria=between_tokens(give_way, cancel),
            **desk.how.arguments,
        )
    found: list[list[int]] = written.tolist()
    return found


def _without_frame(row: Sequence[int], how: WritingOptions, own: Any) -> WrittenText:
    """Take the text out of its row; `own`: the model's GenerationConfig.

    Some models' files force an end as the last token that is allowed: whether it came by itself cannot be seen there.
    """
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    body = row[1:]
    end = next((place for place, id_ in enumerate(body) if id_ in ends), len(body))
    return WrittenText(tuple(body[:end]), full=end + (own.forced_eos_token_id is not None) >= how.max_new_tokens)
