"""The Text tab: one panel a task."""

from __future__ import annotations

import gradio as gr

from core.atelier import Atelier
from core.tasks.text.options import WISHES, ModelOptions
from tabs._form import control
from tabs._language import word
from tabs.text import (
    attention,
    batch,
    classification,
    embeddings,
    entities,
    fill_mask,
    generation,
    question_answering,
    summarization,
    translation,
    zero_shot,
)

TITLE = "tab.text"

PANELS = (
    classification,
    zero_shot,
    entities,
    question_answering,
    fill_mask,
    generation,
    summarization,
    translation,
    embeddings,
    attention,
)


def build(atelier: Atelier, _: gr.Blocks, __: gr.Tab) -> None:
    """Lay out one panel a task, and under them how the models shall run."""
    with gr.Accordion(word("text.placement"), open=False, render=False) as placement, gr.Row():
        wishes = {name: control(ModelOptions, name) for name in WISHES}
    with gr.Tabs():
        for panel in PANELS:
            with gr.Tab(word(panel.TITLE), id=panel.TITLE):
                panel.build(atelier, wishes)
        with gr.Tab(word(batch.TITLE), id=batch.TITLE) as opened:
            batch.build(atelier, wishes, opened)
    placement.render()
