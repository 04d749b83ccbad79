"""The rules by which a data set becomes tokens: the user's wishes, and what the rows themselves suggest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.training.data.encoding.chat_text import TAUGHT, has_template
from core.training.data.encoding.pairs import set_languages
from core.training.data.encoding.rules import Encoded, Rules
from core.training.data.encoding.table import ENCODERS
from core.training.data.encoding.tagged import fit_for_words
from core.training.data.prepared import ANSWERS, CHAT, COMPLETION, PAIRS, PREFERENCE, Row, Splits
from core.training.settings import TrainSettings
from core.words import Sentence, say

MEASURED = 1_000
"""Rows that are tokenized to learn how long rows are."""
NEARLY_ALL = 0.99
STEP = 8
SHORTEST = 16
WINDOW = 384
"""What question answering reads at once where nobody says otherwise, as the field's scripts do."""
PACKED_ROW = 1_024
"""What several texts share at most where nobody says otherwise."""


@dataclass(frozen=True)
class ModelReader:
    """What is to be known of a model before its weights are there."""

    tokenizer: Any
    longest: int = 512
    """Tokens that it reads at once (core.models.loading.longest_input)."""
    labels: tuple[str, ...] = ()
    """Names of the classes it knows, in the order of their ids; kept where the data has no others."""


@dataclass(frozen=True)
class Ruled:
    """Rules, the shape by which rows are read, and what is to be said about both."""

    rules: Rules
    shape: str
    notes: tuple[Sentence, ...] = ()


def rules_for(settings: TrainSettings, splits: Splits, reader: ModelReader) -> Ruled:
    """Return the rules, with the lengths chosen where `settings` leave them open.

    Tells the tokenizer languages and how words stand, so that it is saved as it was used. Raises InvalidInput for a
    language that it does not know.
    """
    ruled = unlimited_rules(settings, splits, reader)
    length, target = _lengths(settings, splits, ruled, reader.longest)
    return replace(ruled, rules=replace(ruled.rules, max_length=length, max_target_length=target))


def unlimited_rules(settings: TrainSettings, splits: Splits, reader: ModelReader) -> Ruled:
    """Return the rules for texts of whatever length, to measure how long they are."""
    tokenizer = reader.tokenizer
    fit_tokenizer(settings, tokenizer)
    shape, template, notes = _spoken_by(tokenizer, splits)
    rules = Rules(
        tokenizer=tokenizer,
        labels=labels_of(splits, reader),
        doc_stride=settings.doc_stride,
        source_prefix=settings.source_prefix,
        assistant_only_loss=settings.assistant_only_loss,
        template=template,
        for_reward=settings.task == "reward",
    )
    return Ruled(rules, shape, notes)


def fit_tokenizer(settings: TrainSettings, tokenizer: Any) -> None:
    """Tell a tokenizer its languages, and that words of a list follow a blank; the same again changes nothing.

    Raises InvalidInput for a language that it does not know.
    """
    set_languages(tokenizer, settings.source_language, settings.target_language)
    if settings.task == "token-classification":
        fit_for_words(tokenizer)


def labels_of(splits: Splits, reader: ModelReader) -> tuple[str, ...]:
    """Return the model's own classes where they are those of the data, too: its head goes on then; else the data's."""
    known = set(reader.labels)
    same = splits.labels and known >= set(splits.labels) and len(known) == len(splits.labels)
    return reader.labels if same else splits.labels


def _spoken_by(tokenizer: Any, splits: Splits) -> tuple[str, str | None, tuple[Sentence, ...]]:
    """Return the shape, a template of ours where one is needed, and a note about it."""
    own = has_template(tokenizer)
    if splits.shape == COMPLETION:
        if own:
            return CHAT, None, (say("say.data_completion_as_chat"),)
        return COMPLETION, None, (say("say.data_completion_as_text"),)
    talks = splits.shape == PREFERENCE and any(len(row["messages"]) > 1 for row in splits.train)
    if own or not (splits.shape == CHAT or talks):
        return splits.shape, None, ()
    return splits.shape, TAUGHT, (say("say.data_template_ours"),)


def _lengths(settings: TrainSettings, splits: Splits, ruled: Ruled, longest: int) -> tuple[int, int]:
    """Return the longest input and the longest target: as long as nearly all are, and the model reads."""
    wished, target = settings.max_length, settings.max_target_length
    if not wished and ruled.shape == ANSWERS:
        wished = WINDOW
    if not wished and settings.packing == "on":
        wished = PACKED_ROW
    if not wished or (ruled.shape == PAIRS and not target):
        inputs, targets = lengths_of(splits.train, ruled)
        wished = wished or nearly_all(inputs)
        target = target or (nearly_all(targets) if targets else 0)
    return min(wished, longest), min(target, longest)


def lengths_of(rows: Sequence[Row], ruled: Ruled) -> tuple[list[int], list[int]]:
    """Return the lengths in tokens of inputs, and of targets where there are any, of rows from all over `rows`."""
    step = max(1, len(rows) // MEASURED)
    encoded: list[Encoded] = ENCODERS[ruled.shape](rows[::step][:MEASURED], ruled.rules)
    sequences = [sequence for one in encoded for sequence in one.sequences]
    inputs = [int(one.get("length", 0)) or len(one["input_ids"]) for one in sequences]
    return inputs, [len(one["labels"]) for one in sequences] if ruled.shape == PAIRS else []


def nearly_all(lengths: Sequence[int]) -> int:
    """Return what 99 in 100 do not exceed, rounded up to eight."""
    if not lengths:
        return SHORTEST
    ordered = sorted(lengths)
    found = ordered[min(len(ordered) - 1, int(NEARLY_ALL * len(ordered)))]
    return max(SHORTEST, -(-found // STEP) * STEP)
