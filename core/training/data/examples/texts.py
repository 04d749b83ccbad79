"""Rows that are texts only: running text, source and target, a picture with its caption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.training.data.examples.cells import text_in
from core.training.data.prepared import Row


def read_text(cells: Mapping[str, Any]) -> Row:
    """Read text."""
    return {"text": text_in(cells["text"], "text")}


def read_pair(cells: Mapping[str, Any]) -> Row:
    """Read source and target."""
    return {name: text_in(cells[name], name) for name in ("source", "target")}


def read_picture(cells: Mapping[str, Any]) -> Row:
    """Read image, a file that was kept, and caption."""
    return {name: text_in(cells[name], name) for name in ("image", "caption")}
