"""The line at the bottom of every page: device, dtype and mode, each with its reason."""

from __future__ import annotations

from html import escape

import gradio as gr

from core.atelier import Atelier
from core.overview import Overview, overview
from tabs._events import QUIET, Endpoint, Visit, look_up


def build(atelier: Atelier, page: gr.Blocks) -> None:
    """Place the line and fill it when a page opens, in the visitor's language."""
    line = gr.HTML(label="view", elem_id="footer-line")

    def _overview(visit: Visit) -> str:
        """Say where models run by default, in which dtype, in which mode, and why."""
        return _show(overview(atelier), visit)

    endpoint = Endpoint("overview", {}, [line])
    look_up(page.load, _overview, endpoint, **QUIET)


def _show(found: Overview, visit: Visit) -> str:
    head = escape(f"{found.device} · {found.dtype} · {found.mode}")
    why = "".join(f"<li>{escape(visit.say(reason))}</li>" for reason in found.reasons)
    return f'<details class="footer-line"><summary>{head}</summary><ul>{why}</ul></details>'
