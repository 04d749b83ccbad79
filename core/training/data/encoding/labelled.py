"""A text, or a pair, and the number of its class."""

from __future__ import annotations

from collections.abc import Sequence

from core.training.data.encoding.rules import Encoded, Rules, cut_again
from core.training.data.prepared import Row


def encode_labelled(rows: Sequence[Row], rules: Rules) -> list[Encoded]:
    """Give input_ids and `labels`, one number."""
    numbers = {label: number for number, label in enumerate(rules.labels)}
    columns = [[row["text"] for row in rows]]
    if "text_pair" in rows[0]:
        columns.append([row["text_pair"] for row in rows])
    found, cut = cut_again(rules, columns)
    return [
        Encoded(({**one, "labels": numbers[row["label"]]},), was_cut)
        for row, one, was_cut in zip(rows, found, cut, strict=True)
    ]
