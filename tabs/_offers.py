"""What was trained here, in every list of models: each page asks when it opens, and whenever a tab is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.catalogue import TASKS
from core.runs import PICTURES, PREFIX
from tabs._events import QUIET, Endpoint, Visit, look_up

IMAGES = "images-model"
"""The list that all ways of drawing share."""
BASES, TRAINED = "train-model", "train-task"
"""The list of what a training begins with, and the list of tasks that it depends on."""
TO_TRAIN = ("to train",)
"""Stands for the tasks of the list of bases."""


def build(atelier: Atelier, page: gr.Blocks) -> None:
    """Wire the lists of models that are on the page by now; call when all tabs are built."""
    controls = [one for one in page.blocks.values() if isinstance(one, gr.Dropdown)]
    lists = {one: tasks for one in controls if (tasks := tasks_of(one))}
    outputs = list(lists)
    trained = next((one for one in controls if one.elem_id == TRAINED), None)
    task = {"task": trained} if trained else {}
    ask = offering(atelier, list(lists.values()))
    look_up(page.load, ask, Endpoint("model_offers", task, outputs, public=False), **QUIET)
    for tab in (one for one in page.blocks.values() if isinstance(one, gr.Tab) and _outer(one)):
        told = Endpoint(f"model_offers_{tab._id}", task, outputs, public=False)  # noqa: SLF001 unique on the page
        look_up(tab.select, ask, told, **QUIET)


def tasks_of(control: Any) -> tuple[str, ...]:
    """Return the tasks whose models a control offers, as its element's id tells; nothing for any other control."""
    if control.elem_id in (IMAGES, BASES):
        return PICTURES if control.elem_id == IMAGES else TO_TRAIN
    named = {f"{task.replace('-', '_')}-model": task for task in TASKS}
    task = named.get(str(control.elem_id))
    return (task,) if task else ()


def offering(atelier: Atelier, lists: list[tuple[str, ...]]) -> Callable[[Visit], Any]:
    """Return the handler that fills these lists, each of which offers the models of its tasks."""

    def offers(_: Visit, task: str = "") -> Any:
        """Offer the starter, what was trained here and the well-known models; what is chosen stays chosen."""
        found = {tasks: _names(atelier, tasks, task) for tasks in lists}
        if not any(name.startswith(PREFIX) for names in found.values() for name in names):
            return [gr.skip()] * len(lists)
        return [gr.update(choices=found[tasks]) for tasks in lists]

    return offers


def _names(atelier: Atelier, tasks: tuple[str, ...], trained: str) -> list[str]:
    if tasks == TO_TRAIN:
        return atelier.train_desk.bases(trained) if trained else []
    return list(dict.fromkeys(name for task in tasks for name in atelier.registry.choices(task)))


def _outer(tab: gr.Tab) -> bool:
    """Tell whether a tab is one of the page's own, not one inside another."""
    parent: Any = tab.parent
    while parent is not None:
        if isinstance(parent, gr.Tab):
            return False
        parent = parent.parent
    return True
