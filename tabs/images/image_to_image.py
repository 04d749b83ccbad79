"""Image to image: a picture from another one."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.imaging.image_to_image import TASK, ImageToImageSettings
from tabs._form import control
from tabs.images._panel import Panel
from tabs.images._upload import picture_upload


def _lay_out() -> dict[str, Any]:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            image = picture_upload("image", "image_to_image-image")
        with gr.Column(scale=1, min_width=320):
            strength = control(ImageToImageSettings, "strength", elem_id="image_to_image-strength")
    return {"image": image, "strength": strength}


PANEL = Panel(
    task=TASK,
    settings=ImageToImageSettings,
    describe="Draw a picture anew from words, keeping as much of it as `strength` leaves.",
    lay_out=_lay_out,
)
