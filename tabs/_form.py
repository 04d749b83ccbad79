"""Controls made from a settings dataclass: its field is the control, the keyword and the API parameter."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr

from core.catalogue import model_choices
from core.fields import CHOICE, NUMBER, TEXT
from core.words import dictionary
from tabs._language import PAGE, word
from tabs._numbers import Number, Slider

MOST_SLIDER_STEPS = 500
"""A finer slider cannot be set by hand; the value is typed instead."""


def control(settings: type, name: str, **overrides: Any) -> gr.components.Component:
    """Return the control for one field, with the field's own limits, default and words.

    Its label is the word "page.field.<name>", its hint "page.field.<name>.info" where there is one;
    `overrides` go to the component.
    """
    field = {field.name: field for field in dataclasses.fields(settings)}[name]
    options = {"label": word(f"field.{name}"), "info": _info(name), **overrides}
    return _MAKERS[_kind(field)](field, options)


def controls(settings: type, *names: str) -> dict[str, gr.components.Component]:
    """Return several controls by field name, in this order."""
    return {name: control(settings, name) for name in names}


def model_control(task: str, **overrides: Any) -> gr.Dropdown:
    """Return the model choice of a task: its starter first, then well-known Hub models, or any id typed in."""
    names = model_choices(task)
    options = {"label": word("field.model"), "info": word("field.model.info"), **overrides}
    return gr.Dropdown(choices=names, value=names[0], allow_custom_value=True, filterable=True, **options)


def _info(name: str) -> Any:
    key = f"field.{name}.info"
    return word(key) if PAGE + key in dictionary("en") else None


def _kind(field: dataclasses.Field[Any]) -> str:
    return field.metadata.get("kind") or ("flag" if field.type in {"bool", bool} else TEXT)


def _default(field: dataclasses.Field[Any]) -> Any:
    return None if field.default is dataclasses.MISSING else field.default


def _text(field: dataclasses.Field[Any], options: dict[str, Any]) -> gr.Textbox:
    return gr.Textbox(**{"value": _default(field), **options})


def _number(field: dataclasses.Field[Any], options: dict[str, Any]) -> Slider | Number:
    limits = field.metadata
    bounds = {"minimum": limits["low"], "maximum": limits["high"], "step": limits["step"]}
    steps = (limits["high"] - limits["low"]) / limits["step"]
    make = Slider if steps <= MOST_SLIDER_STEPS else Number
    return make(**{"value": field.default, **bounds, **options})


def _choice(field: dataclasses.Field[Any], options: dict[str, Any]) -> gr.Dropdown:
    return gr.Dropdown(**{"choices": list(field.metadata["options"]), "value": field.default, **options})


def _flag(field: dataclasses.Field[Any], options: dict[str, Any]) -> gr.Checkbox:
    return gr.Checkbox(**{"value": bool(field.default), **options})


_MAKERS = {TEXT: _text, NUMBER: _number, CHOICE: _choice, "flag": _flag}
