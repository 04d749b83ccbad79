"""The Evaluate tab: what models are worth, beside each other and how surely; and metrics of predictions one has."""

from __future__ import annotations

import gradio as gr

from core.atelier import Atelier
from tabs._language import word
from tabs.evaluation import given, models, runs

TITLE = "tab.evaluate"
PANELS = (models, runs, given)
"""Each has TITLE and `build(atelier, tab, panel)`: the page's tab, and its own inside."""


def build(atelier: Atelier, _: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out one panel beside the other."""
    with gr.Tabs():
        for panel in PANELS:
            with gr.Tab(word(panel.TITLE), id=panel.TITLE) as opened:
                panel.build(atelier, tab, opened)
