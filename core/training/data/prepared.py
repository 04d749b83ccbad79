"""What preparing data gives: the rows in their two halves, and the same as tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.words import Sentence

Row = dict[str, Any]
"""One row under its canonical columns; `row` is its number in the file, counted from 1 below the header."""

IGNORED = -100
"""The label of a token that carries no loss, as PyTorch's cross entropy has it."""

LABELS, WORDS, ANSWERS, PAIRS = "labels", "words", "answers", "pairs"
PLAIN, COMPLETION, CHAT, MASKED = "plain", "completion", "chat", "masked"
PREFERENCE, PICTURES = "preference", "pictures"
SHAPES = (LABELS, WORDS, ANSWERS, PAIRS, PLAIN, COMPLETION, CHAT, MASKED, PREFERENCE, PICTURES)
"""What a row is: a text with a label, words with tags, a question with answers, source and target, running text, a
prompt with its completion, a conversation, text to be masked, a chosen and a rejected answer, a picture with a caption.
"""


@dataclass(frozen=True)
class Splits:
    """A data set under its canonical columns, in two halves that share no text."""

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    shape: str
    """One of SHAPES."""
    columns: Mapping[str, str]
    """Canonical column → the file's own; what the guess, or the user, said."""
    available: tuple[str, ...]
    """All columns that the file has."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of their ids; of words, the tags."""
    notes: tuple[Sentence, ...] = ()
    """What a person should know: rows that were left out, or drawn, or lay in both halves."""
    data_hash: str = ""
    """SHA-256 over all rows of both halves."""
    separate: bool = False
    """True where the validation rows come from a file or split of their own, and count their rows themselves."""

    @property
    def counts_by_label(self) -> Mapping[str, tuple[int, int]]:
        """Return for each label how many rows (of words: words) train and validate it."""
        counted = [_count_labels(half) for half in (self.train, self.validation)]
        return {label: (counted[0].get(label, 0), counted[1].get(label, 0)) for label in self.labels}

    def half_of(self, row: int) -> str:
        """Tell "train", "validation", or "" for a row that is used in neither."""
        if not self.separate and any(one["row"] == row for one in self.validation):
            return "validation"
        return "train" if any(one["row"] == row for one in self.train) else ""


def _count_labels(rows: tuple[Row, ...]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for row in rows:
        for label in row.get("tags", ()) or [row.get("label", "")]:
            counted[label] = counted.get(label, 0) + 1
    return counted


@dataclass(frozen=True)
class Counts:
    """Numbers of a prepared data set; a sequence is what one row of a batch holds."""

    train_rows: int
    validation_rows: int
    train_sequences: int
    validation_sequences: int
    train_tokens: int
    loss_tokens: int
    """Tokens of the training half that carry loss (of a classifier, one for each row)."""
    truncated: int = 0
    """Rows of both halves that were cut at max_length."""
    dropped: int = 0
    """Rows of both halves of which nothing that could be learnt was left."""
    longest: int = 0


@dataclass(frozen=True)
class Prepared:
    """Tokens on disk, and all that goes with them; `collators.collator_for` makes the batches.

    Columns of `train` and `validation` (both datasets.Dataset): `input_ids`, and what the model's forward takes beside
    it; `labels` as the loss wants them; `length` for grouping; `row`, the number of the row it was made from. A
    preference has `prompt_ids`, `chosen_ids`, `rejected_ids` as TRL's collators want them; a window of question
    answering `offset_mapping` (None outside the context) beside its labels, `start_positions` and `end_positions`.
    """

    task: str
    shape: str
    train: Any
    validation: Any
    """None where nothing is held out."""
    folder: Path
    """Where the tokens lie; `rows.py` reads the canonical rows of both halves back from there."""
    key: str
    """Hash of everything the tokens were made from: the same key, the same tokens."""
    data_hash: str
    counts: Counts
    max_length: int
    """Longest input in tokens: the wish, or what was chosen where there was none."""
    max_target_length: int = 0
    labels: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    chat_template: str | None = None
    """A template of ours, to be saved with the tokenizer, where the model has none of its own."""
    packed: bool = False
    cached: bool = False
    """True where the tokens of an earlier attempt were taken."""
    notes: tuple[Sentence, ...] = ()


@dataclass(frozen=True)
class Token:
    """One token as the trainer sees it."""

    id: int
    text: str
    label: str = ""
    """What it must say: a tag, the next token's text, "start" or "end"; "" where it says nothing."""
    carries_loss: bool = False
    part: str = "input"
    """"input"; "target" of an encoder-decoder; "chosen" and "rejected" of a preference."""


@dataclass(frozen=True)
class Preview:
    """One row of the file as the trainer sees it."""

    row: int
    half: str
    """"train", "validation", or "" for a row that is left out."""
    source: Row
    """The row under its canonical columns."""
    sequences: tuple[tuple[Token, ...], ...]
    """Several where a long context is read through windows, or a conversation is cut into its answers."""
    label: str = ""
    """The label of the whole row, of a classifier."""
    truncated: bool = False
    notes: tuple[Sentence, ...] = ()
