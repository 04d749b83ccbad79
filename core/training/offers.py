"""The bases that are offered for a task: the proposed one, a starter, what was trained here, well-known models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from core.catalogue import find_task, starter_names
from core.errors import NotAModel, UnknownName
from core.models.run_files import is_prompt
from core.runs import PREFIX
from core.training.tasks import TRAIN_TASKS, TrainTask, find_train_task

if TYPE_CHECKING:
    from core.models.registry import Registry
    from core.runs import Run

_ADAPTED = ("fill-mask",)
"""A language model that read a field's texts first classifies them better afterwards."""
ALSO_FROM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("text-classification", "token-classification", "question-answering"), _ADAPTED),
    "text-generation": ("preference",),
    "preference": ("text-generation",),
    "reward": ("text-generation", "preference"),
}
"""A task → the other tasks whose runs it may go on from; each may go on from its own."""
WELL_KNOWN: Mapping[str, str] = {"reward": "text-generation"}
"""A task → the task whose well-known models are its bases, where they are not those that answer it."""


def offered_bases(task: str, registry: Registry) -> list[str]:
    """Return names for the list of bases, the one to choose first; raises UnknownName for a task there is not."""
    known = find_train_task(task)
    found = find_task(WELL_KNOWN.get(task, known.catalogue_task))
    runs = [run.name for run in _runs(known, registry) if may_go_on(run, known)]
    shipped = {"", *starter_names()}
    # Other networks than encoders answer by a starter that may be of another kind: summaries by an encoder.
    starters = [known.model, *((found.starter,) if known.kind == "encoder" else ())]
    here = [name for name in starters if not name.startswith("starter/") or name in shipped]
    return [name for name in dict.fromkeys([*here, *runs, *found.presets]) if name]


def _runs(task: TrainTask, registry: Registry) -> Iterator[Run]:
    """Yield the runs that answer what this task, or one that it builds on, is trained for."""
    asked = dict.fromkeys(TRAIN_TASKS[name].catalogue_task for name in related(task))
    for name in dict.fromkeys(name for one in asked for name in registry.choices(one) if name.startswith(PREFIX)):
        with suppress(UnknownName, NotAModel):  # deleted a moment ago
            yield registry.run(name)


def related(task: TrainTask) -> tuple[str, ...]:
    """Return the tasks whose runs a task may go on from, its own first."""
    return (task.name, *ALSO_FROM.get(task.name, ()))


def may_go_on(run: Run, task: TrainTask) -> bool:
    """Tell whether a task's training can begin with a run; learnt inputs before a text are no weights to go on from."""
    return run.task in related(task) and not is_prompt(run.result)
