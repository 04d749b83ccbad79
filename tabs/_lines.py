"""A box of lines that programs may fill with a list."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from core.errors import InvalidInput


class Lines(gr.Textbox):
    """A gr.Textbox that hands on what a program sent: a list stays one."""

    is_template = True  # the browser shows a gr.Textbox

    def preprocess(self, payload: Any) -> Any:
        """Return the text, or the list that was sent instead of one."""
        return payload


def lines_in(name: str, given: Any) -> list[Any]:
    """Return a list as it is, JSON's where the text begins with [, else the text's lines without the last line feed.

    Raises InvalidInput for what begins like JSON, and is none.
    """
    if isinstance(given, list):
        return given
    text = str(given or "")
    if not text.lstrip().startswith("["):
        return text.rstrip("\n").split("\n") if text.strip() else []
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise InvalidInput("error.lines_unreadable", name=name, reason=str(problem)) from problem
    return found if isinstance(found, list) else [found]
