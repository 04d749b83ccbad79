"""Cells as tables bring them: text, and lists or objects that a CSV holds as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from core.words import Sentence, say


class BadCellError(Exception):
    """One cell cannot be learnt from: which canonical column it is, and why."""

    def __init__(self, column: str, cause: Sentence) -> None:
        """Keep both; "" stands for the whole row."""
        super().__init__(str(cause))
        self.column = column
        self.cause = cause


def text_in(cell: Any, column: str) -> str:
    """Return a cell's text; refuses blank ones, and lists and objects."""
    if isinstance(cell, list | dict):
        raise BadCellError(column, say("say.data_not_text"))
    text = "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)
    if not text.strip():
        raise BadCellError(column, say("say.data_blank"))
    return text


def is_blank(cell: Any) -> bool:
    """Tell whether nothing stands there."""
    if isinstance(cell, list | dict):
        return not cell
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or not str(cell).strip()


def parsed(cell: Any) -> Any:
    """Return what a cell holds: JSON where a text is some, else the cell itself."""
    if isinstance(cell, str) and cell.strip()[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def shortened(text: str, most: int = 60) -> str:
    """Return the beginning of a text, for a sentence that quotes it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
