"""What decides how a row becomes tokens, beside the row itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.training.data.prepared import Row

UNLIMITED = 1_000_000_000
"""A length in tokens that no row has: to measure how long rows are."""


@dataclass(frozen=True)
class Rules:
    """A tokenizer, and the choices that go with it."""

    tokenizer: Any
    max_length: int = UNLIMITED
    max_target_length: int = UNLIMITED
    labels: tuple[str, ...] = ()
    doc_stride: int = 0
    """0 = a quarter of max_length."""
    source_prefix: str = ""
    assistant_only_loss: bool = True
    template: str | None = None
    """A chat template of ours; None = the tokenizer's own."""
    for_reward: bool = False
    """A preference whose answers are scored whole, prompt included."""

    @property
    def stride(self) -> int:
        """Tokens that two windows share."""
        return self.doc_stride or self.max_length // 4


@dataclass(frozen=True)
class Encoded:
    """The sequences that one row became; none where nothing of it could be learnt."""

    sequences: tuple[dict[str, Any], ...]
    truncated: bool = False


Encoder = Callable[[Sequence[Row], Rules], list[Encoded]]
"""Turns several rows at once into their sequences, in order."""


def cut_again(
    rules: Rules, columns: Sequence[Sequence[Any]], **options: Any
) -> tuple[list[dict[str, Any]], list[bool]]:
    """Tokenize rows of one or two columns, and once more, cut, those that are longer than max_length.

    Returns each row's input_ids (and token_type_ids where the tokenizer gives them), and whether it was cut.
    """
    whole = _listed(rules.tokenizer(*columns, return_attention_mask=False, **options))
    cut = [len(one["input_ids"]) > rules.max_length for one in whole]
    if any(cut):
        long = [[cells[place] for place, is_long in enumerate(cut) if is_long] for cells in columns]
        again = rules.tokenizer(
            *long, truncation=True, max_length=rules.max_length, return_attention_mask=False, **options
        )
        shorter = iter(_listed(again))
        whole = [next(shorter) if is_long else one for one, is_long in zip(whole, cut, strict=True)]
    return whole, cut


def _listed(batch: Any) -> list[dict[str, Any]]:
    """Turn a batch of columns into a dictionary for each row."""
    names = [name for name in ("input_ids", "token_type_ids") if name in batch]
    return [{name: list(batch[name][place]) for name in names} for place in range(len(batch["input_ids"]))]
