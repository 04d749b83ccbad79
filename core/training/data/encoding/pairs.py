"""Source and target of an encoder-decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import InvalidInput
from core.training.data.encoding.rules import Encoded, Rules, cut_again
from core.training.data.prepared import Row


def encode_pair(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give the source's input_ids, and the target's as `labels`."""
    found, cut = cut_again(rules, [[f"{rules.source_prefix}{row['source']}" for row in rows]])
    targets = rules.tokenizer(text_target=[row["target"] for row in rows], return_attention_mask=False)["input_ids"]
    long = [len(ids) > rules.max_target_length for ids in targets]
    short = [_shortened(row, rules) if is_long else ids for row, ids, is_long in zip(rows, targets, long, strict=True)]
    return [
        Encoded(({"input_ids": one["input_ids"], "labels": list(ids)},), was_cut or is_long)
        for one, ids, was_cut, is_long in zip(found, short, cut, long, strict=True)
    ]


def _shortened(row: Row, rules: Rules) -> list[int]:
    """Cut a target so that its end sign stays."""
    found: list[int] = rules.tokenizer(
        text_target=row["target"], truncation=True, max_length=rules.max_target_length, return_attention_mask=False
    )["input_ids"]
    return found


def set_languages(tokenizer: Any, source: str, target: str) -> None:
    """Tell a tokenizer of many languages from which into which; raises InvalidInput for a code it does not know."""
    for name, code in (("src_lang", source.strip()), ("tgt_lang", target.strip())):
        if not code or not hasattr(tokenizer, name):
            continue
        known = _codes(tokenizer)
        if known and code not in known:
            listed = ", ".join(sorted(known)[:40])
            raise InvalidInput("error.data_unknown_language", code=code, codes=listed)
        setattr(tokenizer, name, code)


def _codes(tokenizer: Any) -> set[str]:
    """Return the codes that a tokenizer of NLLB, mBART or M2M100 knows."""
    return set(getattr(tokenizer, "lang_code_to_id", None) or getattr(tokenizer, "lang_code_to_token", None) or ())
