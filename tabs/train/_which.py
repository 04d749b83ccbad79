"""Which training is meant: the one that is named, or the visitor's latest."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import InvalidInput
from core.jobs.runner import JobView
from core.training.desk import KIND
from core.words import say
from tabs._events import Visit
from tabs._owner import owner_of


def latest(atelier: Atelier, visit: Visit) -> str | None:
    """Return the visitor's running training, else the last one."""
    found = [one for one in atelier.training.recent(owner_of(atelier, visit)) if one.kind == KIND]
    alive = [one for one in found if one.state.alive]
    return (alive or found)[0].id if found else None


def the_one(atelier: Atelier, visit: Visit, job: str | None) -> str:
    """Return the job that is meant; raises InvalidInput where there is none."""
    found = job or latest(atelier, visit)
    if not found:
        raise InvalidInput("error.no_training")
    return found


def to_choose(atelier: Atelier, visit: Visit) -> list[tuple[str, str]]:
    """Return the visitor's trainings for a list: name and state, and the job's id."""
    found = atelier.train_desk.runs(owner_of(atelier, visit))
    return [(f"{name_of(one)} · {visit.say(say(f'say.state_{one.state.value}'))}", one.id) for one in found]


def name_of(view: JobView) -> str:
    """Return run/<name>."""
    return f"run/{view.settings.get('name') or view.id}"


def choosing(atelier: Atelier, visit: Visit, job: str) -> Any:
    """Return the update that offers all trainings, and has one of them chosen."""
    return gr.update(choices=to_choose(atelier, visit), value=job)
