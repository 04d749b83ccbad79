"""Inpaint: part of a picture anew, where a mask is white; the page paints it, programs bring a file."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.imaging.inpainting import TASK, InpaintingSettings
from tabs._form import controls
from tabs._language import word
from tabs.images import _painter
from tabs.images._panel import Panel
from tabs.images._upload import picture_upload


def _lay_out() -> dict[str, Any]:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            image = picture_upload("image", "inpainting-image")
            made = controls(InpaintingSettings, "strength", "mask_blur")
        with gr.Column(scale=1, min_width=320):
            painted = _painter.lay_out(image)
            with gr.Accordion(word("images.mask_file"), open=False, elem_id="inpainting-mask-file"):
                mask = picture_upload("mask", "inpainting-mask", height=220)
    return {"image": image, "mask": mask, **made, "painted": painted}


PANEL = Panel(
    task=TASK,
    settings=InpaintingSettings,
    describe="Draw part of a picture anew from words: where the mask is white.",
    lay_out=_lay_out,
)
