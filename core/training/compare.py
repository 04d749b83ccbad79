"""Base and adapted side by side: the same text, answered by what a run stands on and by the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from core.catalogue import STARTER_BASE, Source
from core.errors import WrongTask
from core.runs import ANSWERS, Run
from core.tasks.text.question import TASKS, Answered, Question, Result, ask
from core.training.base import PLAIN_STARTER
from core.training.record import read_run
from core.words import say

if TYPE_CHECKING:
    from core.models.registry import Registry
    from core.tasks.text.encoder import Lane


@dataclass(frozen=True)
class SideBySide:
    """Both answers to one text."""

    task: str
    base: Answered
    adapted: Answered

    @property
    def same(self) -> bool:
        """True where both answered, and alike."""
        return self.base.refusal is None and self.base.result == self.adapted.result


def compare_with_base(name: str, asked: Question, registry: Registry, lane: Lane | None = None) -> SideBySide:
    """Ask a run and its base the same; where the base has no head for the task, its side says so.

    Raises what the task raises (InvalidInput, ModelError, Cancelled), and WrongTask for a run that draws: pictures are
    compared on their own page, by model.
    """
    from core.tasks.text.encoder import INTERACTIVE

    run = registry.run(name)
    task = ANSWERS.get(run.task, (run.task,))[0]
    if task not in TASKS:
        raise WrongTask("error.compare_pictures", name=run.name)
    asked = _with_languages(asked, run) if task == "translation" else asked
    put = partial(ask, task, asked=asked, registry=registry, lane=lane or INTERACTIVE)
    adapted = Answered(run.name, *put(run.name))
    return SideBySide(task, _answer_of_base(run, put), adapted)


def _with_languages(asked: Question, run: Run) -> Question:
    """Take the languages that the run was trained with where none is named."""
    told = read_run(run.result).settings
    return replace(
        asked,
        source_language=asked.source_language or str(told.get("source_language") or ""),
        target_language=asked.target_language or str(told.get("target_language") or ""),
    )


def _answer_of_base(run: Run, put: Callable[[str], Result]) -> Answered:
    name = name_of_base(run)
    try:
        return Answered(name, *put(name))
    except WrongTask:
        return Answered(name, None, None, say("say.compare_no_head", base=name, task=run.task))


def name_of_base(run: Run) -> str:
    """Return the name of the base as it was then; the starters' base, of the package, answers as a starter."""
    packaged = run.base.source == Source.STARTER.value and run.base.id == STARTER_BASE.hub_id
    return PLAIN_STARTER if packaged else run.base.name
