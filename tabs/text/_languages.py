"""The choice of a language: what its speakers call it, with its code, or anything that is typed."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.tasks.text.languages import OWN_NAMES
from tabs._language import word


def language_control(name: str, **overrides: Any) -> gr.Dropdown:
    """Return the control for source_language or target_language; empty is the model's own."""
    choices = [("–", ""), *((f"{own} ({code})", code) for code, own in OWN_NAMES.items())]
    hint = f"field.{name}.info"
    options = {"label": word(f"field.{name}"), "info": word(hint), **overrides}
    return gr.Dropdown(choices=choices, value="", allow_custom_value=True, filterable=True, **options)
