"""Words with tags: the first token of a word carries its tag, its other tokens none, as the field's scripts do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import ModelError
from core.training.data.encoding.rules import Encoded, Rules
from core.training.data.prepared import IGNORED, Row


def encode_tagged(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give input_ids and `labels`, a number for each token; raises ModelError for a tokenizer that knows no words."""
    if not rules.tokenizer.is_fast:
        raise ModelError("error.no_offsets", name=rules.tokenizer.name_or_path)
    numbers = {label: number for number, label in enumerate(rules.labels)}
    batch = rules.tokenizer(
        [row["tokens"] for row in rows],
        is_split_into_words=True,
        truncation=True,
        max_length=rules.max_length,
        return_attention_mask=False,
    )
    return [_aligned(row, batch, place, numbers) for place, row in enumerate(rows)]


def _aligned(row: Row, batch: Any, place: int, numbers: Mapping[str, int]) -> Encoded:
    words = batch.word_ids(place)
    labels, before = [], None
    for word in words:
        begins = word is not None and word != before
        labels.append(numbers[row["tags"][word]] if begins else IGNORED)
        before = word
    kept = max((word for word in words if word is not None), default=-1) + 1
    sequence: dict[str, Any] = {"input_ids": list(batch["input_ids"][place]), "labels": labels}
    if "token_type_ids" in batch:
        sequence["token_type_ids"] = list(batch["token_type_ids"][place])
    learnt = any(label != IGNORED for label in labels)
    return Encoded((sequence,) if learnt else (), kept < len(row["tokens"]))


def fit_for_words(tokenizer: Any) -> None:
    """Let a byte-level tokenizer read each word of a list as one that follows a blank, as it stands in text."""
    if not tokenizer.is_fast or tokenizer.backend_tokenizer.pre_tokenizer is None:
        return
    backend = tokenizer.backend_tokenizer
    if hasattr(backend.pre_tokenizer, "add_prefix_space"):
        backend.pre_tokenizer.add_prefix_space = True
