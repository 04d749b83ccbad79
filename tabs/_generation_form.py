"""The generation settings as controls, with presets that set several of them at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import gradio as gr

from core.tasks.text.sampling import PRESETS, preset
from tabs._events import Endpoint, Visit, look_up
from tabs._form import control
from tabs._language import word

NAMES = (
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty"),
    *("no_repeat_ngram_size", "min_new_tokens", "num_return_sequences", "num_beams", "length_penalty"),
    *("early_stopping", "seed", "stop"),
)
OWN_LABELS: Mapping[str, str] = {
    "top_k": "top_k_sampling",
    "no_repeat_ngram_size": "no_repeat_ngram_size_off",
    "num_beams": "num_beams_off",
}
"""Names that mean something else in other tasks, and the words they have here."""


def generation_controls(settings: type, api_name: str, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the presets' choice and, by field, a control for each setting that is not in `without`."""
    choices = [(word(f"preset.{name}"), name) for name in PRESETS]
    chosen = gr.Radio(choices, value="balanced", label=word("preset"), elem_id=f"{api_name}-preset")
    made = {name: _made(settings, name) for name in NAMES if name not in without}
    touched = [made[name] for name in preset("balanced")]
    look_up(chosen.input, _apply, Endpoint(f"{api_name}_preset", {"name": chosen}, touched, public=False))
    # What was changed by hand is no preset any more.
    by_hand: list[Any] = [one.input for one in touched]  # type: ignore[attr-defined]
    gr.on(by_hand, None, outputs=chosen, js="() => null", api_visibility="private")
    return made


def _made(settings: type, name: str) -> gr.components.Component:
    options: dict[str, Any] = {"lines": 2} if name == "stop" else {}
    if name in OWN_LABELS:
        options["label"] = word(f"field.{OWN_LABELS[name]}")
    return control(settings, name, **options)


def _apply(_: Visit, name: str) -> tuple[Any, ...]:
    """Set the controls as the preset says."""
    return tuple(preset(name).values())
