"""A text, or a pair of them, with the name of its class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import BadFile
from core.training.data.examples.cells import BadCellError, is_blank, shortened, text_in
from core.training.data.prepared import Row
from core.words import say

MOST_CLASSES = 1_000
LONGEST_LABEL = 200


def read_labelled(cells: Mapping[str, Any]) -> Row:
    """Read text, label and, where there is one, text_pair."""
    found: Row = {"text": text_in(cells["text"], "text"), "label": _label(cells["label"])}
    if "text_pair" in cells:
        found["text_pair"] = text_in(cells["text_pair"], "text_pair")
    return found


def _label(cell: Any) -> str:
    """Return a class's name; 1.0, as spreadsheets write a whole number beside gaps, is "1"."""
    if is_blank(cell):
        raise BadCellError("label", say("say.data_no_label"))
    label = text_in(cell, "label").strip()
    if len(label) > LONGEST_LABEL:
        raise BadCellError("label", say("say.data_label_long", label=shortened(label), limit=LONGEST_LABEL))
    number = _number(label)
    return str(int(number)) if number is not None and number == int(number) else label


def _number(label: str) -> float | None:
    try:
        found = float(label)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def refuse_no_classes(file: str, column: str, rows: Sequence[Row]) -> None:
    """Raise BadFile for labels that are amounts, all the same, or different in nearly every row."""
    labels = [row["label"] for row in rows]
    kinds = set(labels)
    numbers = [number for label in kinds if (number := _number(label)) is not None]
    if len(numbers) == len(kinds) and any(number != int(number) for number in numbers):
        example = next(label for label in labels if "." in label or "e" in label.lower())
        raise BadFile("error.data_float_labels", file=file, column=column, example=example)
    if len(kinds) == 1:
        raise BadFile("error.data_one_class", file=file, column=column, label=labels[0], rows=len(labels))
    if len(kinds) > MOST_CLASSES or (len(kinds) > 20 and len(kinds) > len(labels) // 2):  # noqa: PLR2004 20 classes may be rare
        raise BadFile("error.data_too_many_classes", file=file, column=column, classes=len(kinds), rows=len(labels))


def in_order(labels: set[str]) -> tuple[str, ...]:
    """Return names in the order of their ids: numbers by value, then words by the alphabet."""
    return tuple(sorted(labels, key=lambda label: (_number(label) is None, _number(label) or 0.0, label)))
