"""The Side by side tab: one input, up to four models, and a blind vote on what they write."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.tasks.text.question import TASKS
from core.tasks.text.side_by_side import MOST_MODELS, SideBySideSettings
from tabs._events import QUIET, Endpoint, compute, look_up, write
from tabs._form import control
from tabs._language import word
from tabs._stop import until_stopped
from tabs.side_by_side._desk import Desk, choices_of
from tabs.side_by_side._view import VOTE
from tabs.text._languages import language_control

TITLE = "tab.side_by_side"
EXAMPLES = (
    ("text-generation", "Once upon a time, a little dragon"),
    ("translation", "I have lost my keys. Can you help me find them?"),
    ("text-classification", "What a wonderful evening, and then the rain came."),
)


def build(atelier: Atelier, _: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out input, answers and ranking, and wire `/side_by_side`, `/side_by_side_vote` and `/ranking`."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            chosen = _models()
        with gr.Column(scale=1, min_width=320):
            asked = _input()
            with gr.Row():
                run = gr.Button(word("run"), variant="primary", elem_id="side_by_side-run")
                stop = gr.Button(word("stop"), elem_id="side_by_side-stop")
            _examples(chosen["task"], asked["text"])
    empty = f'<p class="empty">{word("empty_side")}</p>'
    view = gr.HTML(value=empty, label="view", elem_id="side_by_side-view", js_on_load=VOTE)
    with gr.Accordion(word("json"), open=False):
        result = gr.JSON(label="result", elem_id="side_by_side-result")
    inputs = {name: (chosen | asked)[name] for name in PARAMETERS}
    desk, shown = Desk(atelier), [view, result]
    until_stopped(write, (run, stop), desk.side_by_side, Endpoint("side_by_side", inputs, shown))
    _wire_vote(desk, view, shown)
    _wire_choices(desk, tab, chosen | asked)
    _build_ranking(desk, chosen["task"])


PARAMETERS = (
    *("task", "text", "question", "models", "max_new_tokens", "do_sample", "temperature", "seed"),
    *("source_language", "target_language", "blind"),
)
"""The endpoint's, in order; the fields of the settings."""


def _models() -> dict[str, Any]:
    """Lay out what is compared: task, models, blind or not, and how those that write do it."""
    return {
        "task": control(SideBySideSettings, "task", choices=choices_of(TASKS), elem_id="side_by_side-task"),
        "models": gr.Dropdown(
            choices=[],
            value=[],
            multiselect=True,
            max_choices=MOST_MODELS,
            allow_custom_value=True,
            label=word("field.models"),
            info=word("field.models.info"),
            elem_id="side_by_side-models",
        ),
        "blind": control(SideBySideSettings, "blind", elem_id="side_by_side-blind"),
        **_more(),
    }


def _more() -> dict[str, Any]:
    names = ("max_new_tokens", "do_sample", "temperature", "seed")
    with gr.Accordion(word("more"), open=False, elem_id="side_by_side-more"):
        made: dict[str, Any] = {
            name: control(SideBySideSettings, name, elem_id=f"side_by_side-{name}") for name in names
        }
        with gr.Row():
            for name in ("source_language", "target_language"):
                made[name] = language_control(name, visible=False, min_width=140)
    return made


def _input() -> dict[str, Any]:
    question = control(SideBySideSettings, "question", visible=False, elem_id="side_by_side-question")
    return {"question": question, "text": control(SideBySideSettings, "text", lines=5, elem_id="side_by_side-text")}


def _examples(task: Any, text: Any) -> None:
    gr.Examples(
        [list(row) for row in EXAMPLES],
        [task, text],
        label=word("examples"),
        example_labels=[text for _, text in EXAMPLES],
        api_visibility="private",
    )


def _wire_vote(desk: Desk, view: gr.HTML, shown: list[Any]) -> None:
    """The page's own buttons tell round and choice with their event; programs name them as parameters."""
    told = {
        "choice": gr.Textbox(None, label="choice", visible=False),
        "id": gr.Textbox("", label="id", visible=False),
    }
    look_up(view.submit, desk.vote, Endpoint("side_by_side_vote", told, shown), trigger_mode="once")


def _wire_choices(desk: Desk, tab: gr.Tab, controls: dict[str, Any]) -> None:
    """Offer the models of the chosen task, and show the settings that it has."""
    asked = {name: controls[name] for name in ("task", "models")}
    changed = [controls[name] for name in ("models", *desk.VARYING)]
    look_up(
        controls["task"].change, desk.other_task, Endpoint("side_by_side_task", asked, changed, public=False), **QUIET
    )
    opened = Endpoint("side_by_side_opened", asked, [controls["models"]], public=False)
    look_up(tab.select, desk.opened, opened, **QUIET)


def _build_ranking(desk: Desk, task: Any) -> None:
    with gr.Accordion(word("ranking"), open=False, elem_id="ranking-panel") as panel:
        view = gr.HTML(label="view", elem_id="ranking-view")
        count = gr.Button(word("ranking.count"), elem_id="ranking-run")
        result = gr.JSON(label="result", visible=False)
    asked = Endpoint("ranking", {"task": task}, [view, result])
    compute(partial(gr.on, [panel.expand, count.click]), desk.ranking, asked)
