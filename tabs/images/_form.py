"""The controls that all four ways of drawing share: what is asked, of which model, how often, and how it shall run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.catalogue import model_choices
from core.imaging.options import WISHES
from core.imaging.schedulers import good_for
from core.imaging.text_to_image import TextToImageSettings
from tabs._events import QUIET, Endpoint, Visit, look_up
from tabs._form import control, controls
from tabs._language import word

OWN = "images"
"""How the ids of shared controls begin."""
PIPELINE_TASKS = ("text-to-image", "image-to-image", "inpainting")
"""The tasks whose models draw; a ControlNet stands beside one of the first."""
SIZE_STEP = 8
"""What the arrows of width and height add: most models need multiples of it."""
WEIGHS = ("model", "width", "height", "num_images_per_prompt", "guidance_scale", *WISHES)
"""What changes the plan."""


@dataclass(frozen=True)
class Form:
    """The shared controls by field name."""

    values: dict[str, Any]

    @classmethod
    def lay_out(cls) -> Form:
        """Lay out what everybody needs; `lay_out_more` does the rest, further down."""
        made: dict[str, Any] = {
            "prompt": _control("prompt", label=word("field.picture_prompt"), lines=2, max_lines=8),
            "negative_prompt": _control("negative_prompt", lines=1, max_lines=4),
            "model": _model(),
        }
        with gr.Row():
            for name in ("num_inference_steps", "guidance_scale", "num_images_per_prompt"):
                made[name] = _control(name, min_width=120)
        with gr.Row():
            for name in ("width", "height"):
                made[name] = _control(name, step=SIZE_STEP, min_width=90)
            seed = {"label": word("field.picture_seed"), "info": word("field.picture_seed.info")}
            made["seed"] = _control("seed", min_width=110, **seed)
        return cls(made)

    def lay_out_more(self) -> None:
        """Lay out the settings that few people need, in closed parts."""
        with gr.Accordion(word("more"), open=False, elem_id=f"{OWN}-more"):
            self.values["scheduler"] = scheduler = _control("scheduler")
            with gr.Accordion(word("images.adapters"), open=False, elem_id=f"{OWN}-adapters"):
                self.values.update({name: _control(name, lines=1) for name in ("loras", "textual_inversions")})
            with gr.Accordion(word("images.grid"), open=False, elem_id=f"{OWN}-grid"):
                for side in ("x", "y"):
                    with gr.Row():
                        self.values.update(
                            {f"{side}_{part}": _control(f"{side}_{part}") for part in ("axis", "values")}
                        )
            with gr.Accordion(word("text.placement"), open=False, elem_id=f"{OWN}-placement"), gr.Row():
                self.values.update(controls(TextToImageSettings, *WISHES))
        told = Endpoint("images_scheduler", {"name": scheduler}, [scheduler], public=False)
        look_up(scheduler.change, _good_for, told, **QUIET)


def _control(name: str, **options: Any) -> Any:
    return control(TextToImageSettings, name, elem_id=f"{OWN}-{name}", **options)


def _model() -> gr.Dropdown:
    """Offer the models of all ways of drawing: which of them is looked at may change, and the choice stays."""
    names = list(dict.fromkeys(name for task in PIPELINE_TASKS for name in model_choices(task)))
    return gr.Dropdown(
        choices=names,
        value=names[0],
        allow_custom_value=True,
        filterable=True,
        label=word("field.model"),
        info=word("field.picture_model.info"),
        elem_id=f"{OWN}-model",
    )


def _good_for(visit: Visit, name: str) -> Any:
    """Say under the schedulers what the chosen one is good for."""
    return gr.Dropdown(info=visit.say(good_for(name)))
