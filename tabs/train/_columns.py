"""Which column is what: after the guess, a choice among the file's columns for each thing that the task needs.

What is chosen is written into one text, `columns`, which programs send themselves; on the page it stays unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from core.training.data.columns import columns_as_text
from core.words import say
from tabs._events import QUIET, Endpoint, Visit, look_up
from tabs._language import language_of, word
from tabs._views import paragraph

Held = dict[str, Any]
"""core.training.data.roles.ColumnChoices as plain values; Gradio compares them to see what changed."""
NOT_USED = "–"


def columns_controls() -> tuple[gr.Textbox, gr.State]:
    """Make the unseen text and what can be chosen, and lay out the choices wherever there are any."""
    columns = gr.Textbox("", label=word("field.columns"), visible="hidden", elem_id="train-columns")
    held = gr.State(None)
    gr.render(inputs=[held], triggers=[held.change], show_progress="hidden")(partial(_draw, columns, held))
    return columns, held


def _draw(columns: gr.Textbox, state: gr.State, held: Held | None) -> None:
    """Draw one list for each column that is needed or useful, and one for the form where the task knows several."""
    if not held:
        return
    language, forms = language_of(LocalContext.request.get(None)), held["forms"]
    form, found = forms[held["chosen"]]["form"], forms[held["chosen"]]["columns"]
    gr.HTML(paragraph(say("say.train_which_column"), language, kind="direction"))
    if len(forms) > 1:
        names = [(" + ".join(one["form"]["needed"]), place) for place, one in enumerate(forms)]
        hint = say("say.train_which_form").in_language(language)
        way = gr.Dropdown(
            names, value=held["chosen"], label=hint, interactive=True, filterable=False, elem_id="train-form"
        )
        switch = Endpoint("train_form", {"form": way, "held": state}, [columns, state], public=False)
        look_up(way.input, other_form, switch, **QUIET)
    with gr.Row():
        made = {name: _choice(name, held["available"], found.get(name), language) for name in form["needed"]}
        made |= {
            name: _choice(name, ["", *held["available"]], found.get(name, ""), language) for name in form["optional"]
        }
    triggers = partial(gr.on, [one.input for one in made.values()])
    look_up(triggers, told, Endpoint("train_columns", made, [columns], public=False), **QUIET)


def _choice(name: str, available: list[str], value: str | None, language: str) -> gr.Dropdown:
    hint = say(f"say.train_role_{name}").in_language(language)
    choices = [(one or NOT_USED, one) for one in available]
    return gr.Dropdown(
        choices, value=value, label=name, info=hint, interactive=True, min_width=150, elem_id=f"train-column-{name}"
    )


def told(_: Visit, **values: str | None) -> str:
    """Write down which column is what."""
    return columns_as_text({name: own for name, own in values.items() if own})


def other_form(_: Visit, form: int, held: Held) -> tuple[str, Held]:
    """Take another form of the rows, with what was guessed for it."""
    found: Mapping[str, str] = held["forms"][form]["columns"]
    return columns_as_text(found), {**held, "chosen": form}
