"""Fonts and colours: the system's own fonts, so that nothing is downloaded, and colours that everybody can read."""

from __future__ import annotations

import gradio as gr

FONTS = ("system-ui", "Noto Sans CJK TC", "Noto Sans CJK KR", "sans-serif")
MONO = ("ui-monospace", "monospace")


def theme() -> gr.themes.Base:
    """Return Gradio's default theme with its pale grey and orange darkened to a contrast of 4.5 : 1 (WCAG 2, AA)."""
    plain = gr.themes.Default(
        font=[gr.themes.Font(name) for name in FONTS], font_mono=[gr.themes.Font(name) for name in MONO]
    )
    return plain.set(
        body_text_color_subdued="*neutral_500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )
