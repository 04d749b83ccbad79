"""The layout that all text tasks share: input on the left, answer on the right, its code below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from tabs._events import Endpoint, Visit, compute
from tabs._form import model_control
from tabs._language import word


@dataclass
class Panel:
    """The parts of one task's panel while it is being laid out."""

    api_name: str
    inputs: dict[str, gr.components.Component] = field(default_factory=dict)
    examples: Sequence[Sequence[str]] = ()
    example_inputs: Sequence[str] = ()


Answer = tuple[str, str, Any, dict[str, Any]]
"""(what a person looks at first, its code, result, provenance)"""


@contextmanager
def panel(api_name: str, task: str, handler: Callable[..., Answer], wishes: dict[str, Any]) -> Iterator[Panel]:
    """Lay out a task: the block under `with` makes the inputs; model, button, outputs and wiring follow."""
    made = Panel(api_name)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            yield made
            model = model_control(task, elem_id=f"{api_name}-model")
            run = gr.Button(word("run"), variant="primary", elem_id=f"{api_name}-run")
            if made.examples:
                named = [made.inputs[name] for name in made.example_inputs]
                gr.Examples([list(row) for row in made.examples], named, label=word("examples"), api_visibility="private")
        with gr.Column(scale=1, min_width=320):
            outputs = _outputs(api_name)
    compute(run.click, handler, Endpoint(api_name, {**made.inputs, "model": model, **wishes}, outputs))


def _outputs(api_name: str) -> list[gr.components.Component]:
    view = gr.HTML(value=f'<p class="empty">{word("empty")}</p>', label="view", elem_id=f"{api_name}-view")
    with gr.Accordion(word("code"), open=False, elem_id=f"{api_name}-code-panel"):
        code = gr.Markdown(label="code", elem_id=f"{api_name}-code")
    with gr.Accordion(word("json"), open=False):
        result = gr.JSON(label="result", elem_id=f"{api_name}-result")
        provenance = gr.JSON(label="provenance", elem_id=f"{api_name}-provenance")
    return [view, code, result, provenance]
