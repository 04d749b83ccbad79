"""Which evaluation is meant: the one that is named, or the visitor's latest."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import InvalidInput
from core.evaluation.evaluator import KIND
from core.jobs.runner import JobView
from core.words import say
from tabs._events import Visit
from tabs._owner import owner_of


def latest(atelier: Atelier, visit: Visit) -> str | None:
    """Return the visitor's running evaluation, else the last one."""
    found = [one for one in atelier.evaluations.recent(owner_of(atelier, visit)) if one.kind == KIND]
    alive = [one for one in found if one.state.alive]
    return (alive or found)[0].id if found else None


def the_one(atelier: Atelier, visit: Visit, job: str | None) -> str:
    """Return the job that is meant; raises InvalidInput where there is none."""
    found = job or latest(atelier, visit)
    if not found:
        raise InvalidInput("error.no_evaluation")
    return found


def to_choose(atelier: Atelier, visit: Visit) -> list[tuple[str, str]]:
    """Return the visitor's evaluations for a list: data, task, models and state, and the job's id."""
    found = atelier.evaluation_desk.evaluations(owner_of(atelier, visit))
    return [(f"{name_of(one)} · {visit.say(say(f'say.state_{one.state.value}'))}", one.id) for one in found]


def name_of(view: JobView) -> str:
    """Return what an evaluation is known by: its task, its data and its models."""
    held = view.settings
    parts = (held.get("task"), held.get("file_name"), held.get("models"))
    return " · ".join(str(one) for one in parts if one) or view.id[:8]


def choosing(atelier: Atelier, visit: Visit, job: str) -> Any:
    """Return the update that offers all evaluations, and has one of them chosen."""
    return gr.update(choices=to_choose(atelier, visit), value=job)
