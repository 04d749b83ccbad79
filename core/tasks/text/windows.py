"""A text longer than the model, read through overlapping windows whose tokens know their place in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput, ModelError
from core.models.loading import LoadedModel
from core.tasks.text.encoder import Encoded, tokenize


@dataclass(frozen=True)
class Cut:
    """How a text is cut: tokens in a window (special ones and a question included), tokens that neighbours share."""

    size: int
    stride: int


@dataclass(frozen=True)
class Window:
    """A part of one text, as the model sees it."""

    encoded: Encoded
    tokens: range
    """Positions of the text's own tokens; around them stand special tokens, or a question."""
    offsets: tuple[tuple[int, int], ...]
    """For each position, the characters it stands for: text[start:end]."""
    words: tuple[int | None, ...]
    """For each position, the number of its word, where the tokenizer knows words."""


def windows(
    model: LoadedModel, texts: Sequence[str], cut: Cut, questions: Sequence[str] | None = None
) -> list[list[Window]]:
    """Return the windows of each text in order, each beginning with its question if there are any.

    Raises ModelError for a tokenizer without offsets, InvalidInput if the stride leaves a window nothing new to read.
    """
    if not model.tokenizer.is_fast:
        raise ModelError("error.no_offsets", name=model.spec.name)
    if not texts:
        return []
    # Models that are padded on the left read the question last, as the transformers pipeline did.
    question_first = model.tokenizer.padding_side == "right"
    columns = (texts,) if questions is None else (questions, texts) if question_first else (texts, questions)
    which = len(columns) - 1 if question_first else 0
    whole = tokenize(model, *columns, truncation=False, return_offsets_mapping=True)
    if max(len(ids) for ids in whole["input_ids"]) > cut.size:
        _check_stride(whole, which, cut)
        whole = tokenize(
            model,
            *columns,
            truncation=("only_first", "only_second")[which],
            max_length=cut.size,
            stride=cut.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
    found: list[list[Window]] = [[] for _ in texts]
    for place, text in enumerate(whole.get("overflow_to_sample_mapping", range(len(texts)))):
        found[text].append(_window(whole, place, which))
    return found


def _check_stride(whole: Any, which: int, cut: Cut) -> None:
    """Compare the stride with the narrowest window: what remains beside special tokens and the question."""
    beside = max(sum(part != which for part in whole.sequence_ids(place)) for place in range(len(whole["input_ids"])))
    if cut.stride >= cut.size - beside:
        raise InvalidInput("error.stride_too_large", stride=cut.stride, window=max(cut.size - beside, 0))


def _window(whole: Any, place: int, which: int) -> Window:
    ids = tuple(whole["input_ids"][place])
    types = whole.get("token_type_ids")
    own = [position for position, part in enumerate(whole.sequence_ids(place)) if part == which]
    return Window(
        encoded=Encoded(ids, tuple(types[place]) if types else (0,) * len(ids), len(ids)),
        tokens=range(own[0], own[-1] + 1) if own else range(0),
        offsets=tuple(whole["offset_mapping"][place]),
        words=tuple(whole.word_ids(place)),
    )
