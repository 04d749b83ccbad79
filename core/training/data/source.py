"""Raw rows as somebody brought them, before anybody knows what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.words import Sentence


@dataclass(frozen=True)
class Source:
    """Rows of a file, a sample or a data set on the Hub."""

    name: str
    """What people call it: the file's name, or the data set's."""
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    problems: Mapping[int, Sentence] = field(default_factory=dict)
    """Place (from 0) → why this row could not be read."""
    notes: tuple[Sentence, ...] = ()
    correctable: bool = True
    """False where nobody can correct the file: rows that cannot be used are left out then, and counted."""
