"""ControlNet: a picture from words that keeps the lines, depths or poses of another one."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.imaging.controlnet import CONDITIONS, TASK, ControlNetSettings
from tabs._form import control, model_control
from tabs._language import word
from tabs.images._panel import Panel
from tabs.images._upload import picture_upload

IN_SIGHT = ("condition", "controlnet", "controlnet_conditioning_scale")
OF_CONDITIONS = ("condition", "condition_model", "low_threshold", "high_threshold")
"""The settings that say what is taken from the picture."""
FIND, FOUND = "find", "found"
"""What shows the condition before anything is drawn: no settings."""
RARELY = ("control_guidance_start", "control_guidance_end", "low_threshold", "high_threshold", "condition_model")


def _lay_out() -> dict[str, Any]:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            image = picture_upload("leading_image", "controlnet-image")
        with gr.Column(scale=1, min_width=320):
            made = {name: _MAKERS.get(name, _control)(name) for name in IN_SIGHT}
            with gr.Accordion(word("more"), open=False, elem_id="controlnet-more"):
                made |= {name: _control(name) for name in RARELY}
            find = gr.Button(word("images.find_condition"), size="sm", elem_id="controlnet-find")
            found = gr.Image(
                label=word("images.condition"), interactive=False, visible=False, height=240, elem_id="controlnet-found"
            )
    return {"image": image, **made, FIND: find, FOUND: found}


def _control(name: str) -> Any:
    return control(ControlNetSettings, name, elem_id=f"controlnet-{name}")


def _network(_: str) -> Any:
    words = {"label": word("field.controlnet"), "info": word("field.controlnet.info")}
    return model_control(TASK, elem_id="controlnet-controlnet", **words)


def _condition(name: str) -> Any:
    choices = [(word(f"condition.{one}"), one) for one in CONDITIONS]
    return gr.Radio(choices, value=CONDITIONS[0], label=word("field.condition"), elem_id=f"controlnet-{name}")


_MAKERS = {"controlnet": _network, "condition": _condition}

PANEL = Panel(
    task=TASK,
    settings=ControlNetSettings,
    describe="Draw a picture from words that keeps the edges, depths or poses of another one.",
    lay_out=_lay_out,
)
