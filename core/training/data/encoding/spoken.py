"""Conversations, and prompts with their completions: only what the assistant says carries loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from core.training.data.encoding.chat_text import Spoken, spoken
from core.training.data.encoding.plain import ended
from core.training.data.encoding.rules import Encoded, Rules
from core.training.data.prepared import IGNORED, Row


def encode_chat(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give input_ids and `labels`, IGNORED outside the answers; without loss on answers only, everywhere but first."""
    return [_cut([_marked(text, rules) for text in _texts(row, rules)], rules) for row in rows]


def _texts(row: Row, rules: Rules) -> list[Spoken]:
    return spoken(rules.tokenizer, row["messages"], rules.template)


def encode_completion(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give prompt and completion as one text, as a model without chat template reads them."""
    found = []
    for row in rows:
        *before, last = row["messages"]
        prompt = joint("\n\n".join(message["content"] for message in before), last["content"])
        text = f"{prompt}{last['content']}"
        found.append(_cut([_marked(Spoken(text, ((len(prompt), len(text)),)), rules, special=True)], rules))
    return found


def joint(prompt: str, completion: str) -> str:
    """Return the prompt with a line break where neither text brings a blank between the two."""
    return prompt if prompt[-1:].isspace() or completion[:1].isspace() else f"{prompt}\n"


def _marked(text: Spoken, rules: Rules, *, special: bool = False) -> dict[str, Any]:
    """Tokenize a text, and let the tokens within its answers carry loss; `special` adds what begins a text."""
    ids, inside = _tokens(text, rules, special=special)
    if not rules.assistant_only_loss:
        inside = [True] * len(ids)
    if text.answers and text.answers[-1][1] >= len(text.text.rstrip()) and not _stops(ids, rules):
        ids = ended(ids, rules)
        inside = [*inside, *[True] * (len(ids) - len(inside))]
    inside[0] = False
    return {"input_ids": ids, "labels": [one if own else IGNORED for one, own in zip(ids, inside, strict=True)]}


def _stops(ids: list[int], rules: Rules) -> bool:
    """Tell whether the last sign that is not blank is one of the model's own: it has learnt to end there then."""
    last = next((one for one in reversed(ids) if rules.tokenizer.decode([one]).strip()), None)
    return last in rules.tokenizer.added_tokens_decoder


def _tokens(text: Spoken, rules: Rules, *, special: bool) -> tuple[list[int], list[bool]]:
    if not rules.tokenizer.is_fast:
        return _by_pieces(text, rules, special=special)
    batch = rules.tokenizer(text.text, add_special_tokens=special, return_offsets_mapping=True)
    inside = [_within(pair, text.answers) for pair in batch["offset_mapping"]]
    return list(batch["input_ids"]), inside


def _within(pair: tuple[int, int], answers: Sequence[tuple[int, int]]) -> bool:
    """Tell whether a token begins within an answer; tokens that stand for no character are never part of one."""
    start, end = pair
    return end > start and any(first <= start < last for first, last in answers)


def _by_pieces(text: Spoken, rules: Rules, *, special: bool) -> tuple[list[int], list[bool]]:
    """Tokenize between the edges of the answers, for a tokenizer that does not know where its tokens stand."""
    ids: list[int] = []
    inside: list[bool] = []
    edges = [0, *(edge for span in text.answers for edge in span), len(text.text)]
    for place, (start, end) in enumerate(pairwise(edges)):
        first = special and place == 0
        piece = rules.tokenizer(text.text[start:end], add_special_tokens=first)["input_ids"] if end > start else []
        ids.extend(piece)
        inside.extend([place % 2 == 1] * len(piece))
    return ids, inside


def _cut(sequences: list[dict[str, Any]], rules: Rules) -> Encoded:
    """Keep the first max_length tokens; what has no loss left is nothing to learn."""
    kept = [{name: cells[: rules.max_length] for name, cells in one.items()} for one in sequences]
    learnt = tuple(one for one in kept if any(label != IGNORED for label in one["labels"]))
    return Encoded(learnt, any(len(one["input_ids"]) > rules.max_length for one in sequences))
