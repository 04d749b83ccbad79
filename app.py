"""The door: assemble the tabs, read the settings, open the house."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from core.atelier import Atelier, open_atelier
from core.errors import AtelierError
from core.settings import PROJECT, Mode, Settings, from_arguments


def build_app(atelier: Atelier) -> "gr.Blocks":
    """Return the page with one tab a module."""
    import gradio as gr

    from tabs import text
    from tabs._language import language_links, word

    with gr.Blocks(title="Atelier", delete_cache=(600, 86_400)) as page:
        gr.HTML(language_links())
        with gr.Tabs():
            for tab in (text,):
                with gr.Tab(word(tab.TITLE), id=tab.TITLE):
                    tab.build(atelier)
    return page
