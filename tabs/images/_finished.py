"""What a picture job leaves beside its pictures, as the page reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.imaging.pictures import Cost
from core.imaging.work import CONDITION, RESULT
from core.words import Sentence, say


@dataclass(frozen=True)
class Finished:
    """How pictures came about."""

    provenance: dict[str, Any]
    notes: tuple[Sentence, ...]
    reasons: tuple[Sentence, ...]
    cost: Cost
    beside: tuple[Path, ...]
    """What is shown beside the pictures: the condition of a ControlNet."""


def read_finished(folder: Path) -> Finished | None:
    """Return how a job's pictures came about; None while it runs, where it was stopped, and for another version's."""
    try:
        held = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return Finished(
            provenance=dict(held["provenance"]),
            notes=tuple(map(_sentence, held["notes"])),
            reasons=tuple(map(_sentence, held["reasons"])),
            cost=Cost(**held["cost"]),
            beside=tuple(path for path in (folder / CONDITION,) if path.exists()),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _sentence(held: dict[str, Any]) -> Sentence:
    """Read a sentence back; one that another version wrote is kept in its English words."""
    sentence = Sentence(held["key"], held["values"])
    try:
        str(sentence)
    except (LookupError, ValueError, TypeError, AttributeError):
        return say("say.verbatim", text=str(held["text"]))
    return sentence
