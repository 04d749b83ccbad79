"""Two answers to one prompt, the better one first, as TRL's collators want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.training.data.encoding.chat_text import has_template, write
from core.training.data.encoding.plain import ended
from core.training.data.encoding.rules import Encoded, Rules
from core.training.data.encoding.spoken import joint
from core.training.data.prepared import Row


def encode_preferred(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give `prompt_ids`, `chosen_ids` and `rejected_ids`; for a reward model the answers hold their prompt.

    A row whose prompt alone fills max_length gives nothing.
    """
    return [_scored(row, rules) if rules.for_reward else _compared(row, rules) for row in rows]


def _compared(row: Row, rules: Rules) -> Encoded:
    prompt, chosen, rejected = _ids(row, rules)
    shared = min(_alike(prompt, chosen), _alike(prompt, rejected))
    room = rules.max_length - shared
    if room <= 0:
        return Encoded((), truncated=True)
    one, other = chosen[shared:], rejected[shared:]
    sequence = {"prompt_ids": chosen[:shared], "chosen_ids": one[:room], "rejected_ids": other[:room]}
    return Encoded((_grouped(sequence, shared),), max(len(one), len(other)) > room)


def _scored(row: Row, rules: Rules) -> Encoded:
    prompt, chosen, rejected = _ids(row, rules)
    if len(prompt) >= rules.max_length:
        return Encoded((), truncated=True)
    size = rules.max_length
    sequence = {"chosen_ids": chosen[:size], "rejected_ids": rejected[:size]}
    return Encoded((_grouped(sequence, 0),), max(len(chosen), len(rejected)) > size)


def _grouped(sequence: dict[str, list[int]], before: int) -> dict[str, Any]:
    longest = max(len(sequence["chosen_ids"]), len(sequence["rejected_ids"]))
    return {**sequence, "length": before + longest}


def _ids(row: Row, rules: Rules) -> tuple[list[int], list[int], list[int]]:
    """Return the tokens of the prompt, and of the prompt with either answer."""
    tokenizer, messages = rules.tokenizer, row["messages"]
    if messages and (rules.template or has_template(tokenizer)):
        asked = write(tokenizer, messages, rules.template, asks=True)
        told = [
            write(tokenizer, [*messages, {"role": "assistant", "content": row[name]}], rules.template).rstrip()
            for name in ("chosen", "rejected")
        ]
        found = tokenizer([asked, *told], add_special_tokens=False, return_attention_mask=False)["input_ids"]
    else:
        before = "\n\n".join(message["content"] for message in messages)
        texts = [f"{joint(before, row[name]) if before else ''}{row[name]}" for name in ("chosen", "rejected")]
        found = tokenizer([before, *texts], return_attention_mask=False)["input_ids"]
    prompt, chosen, rejected = found
    return list(prompt), ended(list(chosen), rules), ended(list(rejected), rules)


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two texts begin with alike: the answer begins where they part."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
