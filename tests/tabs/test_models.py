"""The Models tab as it is wired."""

from __future__ import annotations

import gradio as gr


def test_every_other_tab_stops_the_looking(built_page: gr.Blocks) -> None:
    """Whichever tab is opened instead, the ledger's timer is turned off; a tab that is built later counts, too."""
    beside = next(one for one in built_page.blocks.values() if isinstance(one, gr.Tabs)).children
    others = {(tab._id, "select") for tab in beside if tab.id != "tab.models"}
    left = next(one for one in built_page.fns.values() if one.api_name == "models_left")
    assert len(others) == len(beside) - 1
    assert set(left.targets) == others
