"""A question over a text that may be longer than the model: overlapping windows, each with the answer or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import ModelError
from core.training.data.encoding.rules import UNLIMITED, Encoded, Rules
from core.training.data.prepared import Row

SMALLEST_PART = 16
"""Tokens of the context that a window must hold at least, beside the question."""


def encode_answered(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give each window's input_ids, `start_positions`, `end_positions` and `offset_mapping` (None outside the context).

    Without an answer in the window both positions are those of [CLS].
    A row whose question leaves no room for the context gives no window. Raises ModelError for a tokenizer without
    offsets.
    """
    if not rules.tokenizer.is_fast:
        raise ModelError("error.no_offsets", name=rules.tokenizer.name_or_path)
    return [_windows(row, rules) for row in rows]


def _windows(row: Row, rules: Rules) -> Encoded:
    # Models that are padded on the left read the question last, as the transformers pipeline did.
    first = rules.tokenizer.padding_side == "right"
    columns = (row["question"], row["context"]) if first else (row["context"], row["question"])
    which = 1 if first else 0
    options: dict[str, Any] = {
        "return_offsets_mapping": True,
        "return_attention_mask": False,
        "return_overflowing_tokens": True,
    }
    if rules.max_length < UNLIMITED:
        asked = len(rules.tokenizer(row["question"], return_attention_mask=False)["input_ids"])
        room = rules.max_length - asked - rules.tokenizer.num_special_tokens_to_add(pair=True)
        if room < SMALLEST_PART:
            return Encoded((), truncated=True)
        options |= {"max_length": rules.max_length, "stride": min(rules.stride, room - SMALLEST_PART // 2)}
    truncation = ("only_first", "only_second")[which] if rules.max_length < UNLIMITED else False
    batch = rules.tokenizer(*([one] for one in columns), truncation=truncation, **options)
    return Encoded(tuple(_window(row, batch, place, which, rules) for place in range(len(batch["input_ids"]))))


def _window(row: Row, batch: Any, place: int, which: int, rules: Rules) -> dict[str, Any]:
    ids = list(batch["input_ids"][place])
    inside = [part == which for part in batch.sequence_ids(place)]
    offsets = [list(pair) if own else None for pair, own in zip(batch["offset_mapping"][place], inside, strict=True)]
    start, end = _answer(row, offsets) or (nothing := _no_answer(ids, rules), nothing)
    found = {"input_ids": ids, "start_positions": start, "end_positions": end, "offset_mapping": offsets}
    if "token_type_ids" in batch:
        found["token_type_ids"] = list(batch["token_type_ids"][place])
    return found


def _answer(row: Row, offsets: list[list[int] | None]) -> tuple[int, int] | None:
    """Return the tokens at which the first answer begins and ends, if all of it stands in this window."""
    if not row["answers"]["text"]:
        return None
    start = row["answers"]["answer_start"][0]
    end = start + len(row["answers"]["text"][0])
    read = [place for place, pair in enumerate(offsets) if pair]
    if not read or offsets[read[0]][0] > start or offsets[read[-1]][1] < end:  # type: ignore[index]
        return None
    touching = [place for place in read if offsets[place][0] < end and offsets[place][1] > start]  # type: ignore[index]
    return (touching[0], touching[-1]) if touching else None


def _no_answer(ids: list[int], rules: Rules) -> int:
    """Return the place that stands for "no answer here": of [CLS], else of the first token."""
    cls = rules.tokenizer.cls_token_id
    return ids.index(cls) if cls in ids else 0
