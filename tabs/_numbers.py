"""Numbers as they were typed: their limits are the settings' law, which refuses in the visitor's words.

Gradio would refuse a number beyond its slider first, in English, and without saying which setting is meant.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class Number(gr.Number):
    """A gr.Number that hands on what was typed."""

    is_template = True  # the browser shows a gr.Number

    def preprocess(self, payload: Any) -> Any:
        """Return the number, or whatever a program sent instead of one."""
        return payload


class Slider(gr.Slider):
    """A gr.Slider that hands on what was chosen."""

    is_template = True  # the browser shows a gr.Slider

    def preprocess(self, payload: Any) -> Any:
        """Return the number, or whatever a program sent instead of one."""
        return payload
