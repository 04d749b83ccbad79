"""The layout and the handler that all text tasks share: input on the left; answer, code and JSON on the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.snippets import snippets_markdown
from core.tasks.text.encoder import Lane
from tabs._events import Endpoint, Visit, compute, write
from tabs._form import model_control
from tabs._language import word
from tabs._stop import until_stopped
from tabs._views import notes, ran_on

Output = tuple[Any, ...]
"""(what a person looks at first, its code, result, provenance, and details where the task has them)"""


@dataclass(frozen=True)
class TextTask:
    """One task of the Text tab: settings in, core call, show out."""

    task: str
    """The field's name; with underscores it is the endpoint's."""
    settings: type
    answer: Callable[..., Any]
    """(settings, registry, lane) → a result with .result, .provenance and perhaps .notes."""
    show: Callable[[Any, Any, Visit], str]
    """(result, settings, visit) → the HTML a person looks at first."""
    describe: str
    """The endpoint's public description."""
    sketch: Callable[[Any, Any], str] | None = None
    """(what is there so far, settings) → HTML, for answers that come bit by bit: `answer` then takes `told`, too."""
    script: str | None = None
    """What the view does when it is clicked, as gr.HTML's js_on_load."""
    details: bool = False
    """The result has .details, which the view shows in its own way: JSON for programs, behind the other outputs."""

    @property
    def api_name(self) -> str:
        """The endpoint's name."""
        return self.task.replace("-", "_")


@dataclass(frozen=True)
class Examples:
    """One-click inputs: rows of values for the named fields."""

    names: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def titles(self) -> list[str]:
        """What each button says: the whole row; Gradio shortens it."""
        return [" · ".join(str(value) for value in row if value) for row in self.rows]


def lay_out(
    atelier: Atelier,
    task: TextTask,
    main: Callable[[], Mapping[str, gr.components.Component]],
    more: Callable[[], Mapping[str, gr.components.Component]],
    examples: Examples,
    wishes: Mapping[str, gr.components.Component],
) -> None:
    """Lay out one task: `main` makes the inputs everybody needs, `more` those in the closed part below."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            inputs = {**main(), "model": model_control(task.task, elem_id=f"{task.api_name}-model")}
            with gr.Row():
                run = gr.Button(word("run"), variant="primary", elem_id=f"{task.api_name}-run")
                stop = gr.Button(word("stop"), elem_id=f"{task.api_name}-stop")
            named = [inputs[name] for name in examples.names]
            gr.Examples(
                [list(row) for row in examples.rows],
                named,
                label=word("examples"),
                example_labels=examples.titles,  # else a table whose head Gradio does not translate
                api_visibility="private",
            )
            with gr.Accordion(word("more"), open=False, elem_id=f"{task.api_name}-more"):
                inputs.update(more())
        with gr.Column(scale=1, min_width=320):
            outputs = _outputs(task)
    asked = Endpoint(task.api_name, {**inputs, **wishes}, outputs)
    until_stopped(write if task.sketch else compute, (run, stop), _handler(atelier, task), asked)


def _handler(atelier: Atelier, task: TextTask) -> Callable[..., Output]:
    def handler(visit: Visit, **values: Any) -> Output:
        settings = task.settings(**values)
        lane = Lane(cancel=visit.cancel, report=visit.report)
        answer = task.answer(settings, atelier.registry, lane, **_telling(task, settings, visit))
        provenance = answer.provenance.as_dict()
        view = task.show(answer, settings, visit) + notes(getattr(answer, "notes", ()), visit.language)
        code = snippets_markdown(task.task, settings, answer, visit.address, user=atelier.settings.login)
        shown = (view + ran_on(provenance, visit.language), code, answer.result, provenance)
        return (*shown, answer.details) if task.details else shown

    handler.__name__, handler.__doc__ = task.api_name, task.describe
    return handler


def _telling(task: TextTask, settings: Any, visit: Visit) -> dict[str, Callable[[Any], None]]:
    """Return how a task that writes bit by bit tells of it: the view is drawn anew, the rest stays as it is."""
    if task.sketch is None:
        return {}
    sketch, rest = task.sketch, (gr.skip(),) * (4 if task.details else 3)
    return {"told": lambda so_far: visit.show(lambda: (sketch(so_far, settings), *rest))}


def _outputs(task: TextTask) -> list[gr.components.Component]:
    api_name = task.api_name
    script: dict[str, Any] = {"js_on_load": task.script} if task.script else {}
    empty = f'<p class="empty">{word("empty")}</p>'
    view = gr.HTML(value=empty, label="view", elem_id=f"{api_name}-view", **script)
    with gr.Accordion(word("code"), open=False, elem_id=f"{api_name}-code-panel"):
        code = gr.Markdown(label="snippets", elem_id=f"{api_name}-code")
    with gr.Accordion(word("json"), open=False):
        result = gr.JSON(label="result", elem_id=f"{api_name}-result")
        provenance = gr.JSON(label="provenance", elem_id=f"{api_name}-provenance")
    shown = [view, code, result, provenance]
    return [*shown, gr.JSON(label="details", visible=False)] if task.details else shown
