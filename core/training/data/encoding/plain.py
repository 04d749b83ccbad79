"""Running text: for a model that goes on with it, and for one that fills in what is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.training.data.encoding.rules import UNLIMITED, Encoded, Rules
from core.training.data.prepared import IGNORED, Row


def encode_plain(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give input_ids with the sign that ends a text, and the same as `labels`; long texts go on in a next sequence.

    The first label is IGNORED, as nothing comes before it that could tell.
    """
    batch = rules.tokenizer([row["text"] for row in rows], return_attention_mask=False)["input_ids"]
    return [Encoded(tuple(map(learnt_whole, _parts(ended(list(ids), rules), rules.max_length)))) for ids in batch]


def ended(ids: list[int], rules: Rules) -> list[int]:
    """Return the ids with the sign that ends a text, once; where the tokenizer has none, as they are."""
    end = rules.tokenizer.eos_token_id
    return ids if end is None or ids[-1:] == [end] else [*ids, end]


def _parts(ids: list[int], size: int) -> list[list[int]]:
    """Cut into parts of `size`; one token alone, behind a full part, is nothing to learn."""
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    return [part for part in parts if len(part) > 1]


def learnt_whole(ids: list[int]) -> dict[str, Any]:
    """Let every token but the first carry loss."""
    return {"input_ids": ids, "labels": [IGNORED, *ids[1:]]}


def encode_masked(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give input_ids and special_tokens_mask; long texts go on in a next sequence. What is hidden is drawn later."""
    limited = rules.max_length < UNLIMITED
    options = {"truncation": True, "max_length": rules.max_length} if limited else {}
    if limited and rules.tokenizer.is_fast:
        options["return_overflowing_tokens"] = True
    texts = [row["text"] for row in rows]
    batch = rules.tokenizer(texts, return_special_tokens_mask=True, return_attention_mask=False, **options)
    found: list[list[dict[str, Any]]] = [[] for _ in rows]
    for place, owner in enumerate(batch.get("overflow_to_sample_mapping", range(len(rows)))):
        special = list(batch["special_tokens_mask"][place])
        if not all(special):
            found[owner].append({"input_ids": list(batch["input_ids"][place]), "special_tokens_mask": special})
    return [Encoded(tuple(sequences)) for sequences in found]
