"""One row as the trainer sees it: its tokens, what each must say, and which of them carry loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import BadFile
from core.training.data.encoding.table import ENCODERS
from core.training.data.prepare import finished
from core.training.data.prepared import (
    ANSWERS,
    IGNORED,
    LABELS,
    PAIRS,
    PREFERENCE,
    WORDS,
    Preview,
    Row,
    Splits,
    Token,
)
from core.training.data.rules import ModelReader, Ruled, rules_for
from core.training.settings import TrainSettings


def preview(settings: TrainSettings, splits: Splits, reader: ModelReader, row: int) -> Preview:
    """Show row number `row` (from 1) of the file by the very encoder of the training; BadFile where it is not used.

    Of a text to be masked, which is masked anew in each pass, it shows the draw of the evaluation.
    """
    found = _row(splits, row)
    ruled = rules_for(settings, splits, reader)
    encoded = ENCODERS[ruled.shape]([found], ruled.rules)[0]
    sequences = finished(found, encoded, ruled, settings, drawn=True)
    return Preview(
        row=row,
        half=splits.half_of(row),
        source=found,
        sequences=tuple(_tokens(one, ruled) for one in sequences),
        label=str(found["label"]) if splits.shape == LABELS else "",
        truncated=encoded.truncated,
        notes=ruled.notes,
    )


def _row(splits: Splits, number: int) -> Row:
    halves = (splits.train,) if splits.separate else (splits.train, splits.validation)
    for half in halves:
        for row in half:
            if row["row"] == number:
                return row
    raise BadFile("error.data_no_such_row", row=number)


def _tokens(sequence: dict[str, Any], ruled: Ruled) -> tuple[Token, ...]:
    tokenizer = ruled.rules.tokenizer
    if ruled.shape == PREFERENCE:
        parts = {"prompt": "prompt_ids", "chosen": "chosen_ids", "rejected": "rejected_ids"}
        shown = {part: sequence.get(name, ()) for part, name in parts.items()}
        return tuple(
            Token(one, _text(tokenizer, one), "", part != "prompt", "input" if part == "prompt" else part)
            for part, ids in shown.items()
            for one in ids
        )
    labels, marks = _marks(sequence, ruled)
    tokens = [
        Token(one, _text(tokenizer, one), label, carries)
        for one, label, carries in zip(sequence["input_ids"], labels, marks, strict=True)
    ]
    if ruled.shape == PAIRS:
        target = sequence["labels"]
        tokens += [
            Token(one, _text(tokenizer, one), _text(tokenizer, one), carries_loss=True, part="target") for one in target
        ]
    return tuple(tokens)


def _marks(sequence: dict[str, Any], ruled: Ruled) -> tuple[Sequence[str], Sequence[bool]]:
    """Return what each token must say, and whether it carries loss."""
    size = len(sequence["input_ids"])
    if ruled.shape in (LABELS, PAIRS):
        return [""] * size, [False] * size
    if ruled.shape == ANSWERS:
        start, end = sequence["start_positions"], sequence["end_positions"]
        named = [
            " ".join(name for name, at in (("start", start), ("end", end)) if at == place) for place in range(size)
        ]
        return named, [bool(name) for name in named]
    labels = sequence["labels"]
    carries = [label != IGNORED for label in labels]
    return [_said(label, ruled) if own else "" for label, own in zip(labels, carries, strict=True)], carries


def _said(label: int, ruled: Ruled) -> str:
    return ruled.rules.labels[label] if ruled.shape == WORDS else _text(ruled.rules.tokenizer, label)


def _text(tokenizer: Any, one: int) -> str:
    """Return a token's text; a piece of WordPiece keeps its ##."""
    return str(tokenizer.decode([one], skip_special_tokens=False, clean_up_tokenization_spaces=False))
