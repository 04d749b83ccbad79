"""What the events of the Side by side tab do: ask, judge, rank, and fit the form to the task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr

from core.atelier import Atelier
from core.errors import Cancelled
from core.evaluation.ranking import rank, tellable
from core.evaluation.rounds import can_be_judged
from core.known_tasks import find_task
from core.tasks.text.encoder import Lane
from core.tasks.text.question import WRITERS, Answered
from core.tasks.text.side_by_side import SideBySideSettings, ask_side_by_side
from core.words import say
from tabs._events import Visit
from tabs._language import word
from tabs._owner import owner_of
from tabs._views import paragraph
from tabs.side_by_side import _view
from tabs.side_by_side._ranking_view import draw_ranking

Shown = tuple[str, Any]
_TITLES = {"chat": "tab.chat"}
"""Tasks whose word is that of their tab."""


def choices_of(tasks: Iterable[str]) -> list[tuple[Any, str]]:
    """Return tasks as a list shows them: the tab's words, and the field's name as the value."""
    return [(word(_TITLES.get(task, f"task.{task.replace('-', '_')}")), task) for task in tasks]


@dataclass(frozen=True)
class Desk:
    """Handlers of one instance."""

    atelier: Atelier
    VARYING: ClassVar[tuple[str, ...]] = (
        *("question", "blind", "max_new_tokens", "do_sample", "temperature", "seed"),
        *("source_language", "target_language"),
    )
    """Controls that not every task has."""

    def side_by_side(self, visit: Visit, **values: Any) -> Shown:
        """Ask up to four models of one task the same; `blind` hides who answered until one is said to be better."""
        settings = SideBySideSettings(**values)
        answers: list[Answered] = []

        def sketch(writing: str = "") -> None:
            visit.show(lambda: (_view.draw_unfinished(settings, answers, writing, visit), gr.skip()))

        sketch()
        lane = Lane(cancel=visit.cancel, report=visit.report)
        told = None if settings.blind else sketch
        for answered in ask_side_by_side(settings, self.atelier.registry, lane, told):
            answers.append(answered)
            sketch()
        if visit.cancel.cancelled and not any(one.provenance for one in answers):
            raise Cancelled("error.cancelled")
        return self._shown(settings, answers, visit)

    def _shown(self, settings: SideBySideSettings, answers: list[Answered], visit: Visit) -> Shown:
        if settings.blind and can_be_judged(answers):
            owner = owner_of(self.atelier, visit)
            return _view.show_round(self.atelier.votes.rounds.open(owner, settings, answers), visit)
        return _view.show_answers(settings, answers, visit)

    def vote(self, visit: Visit, choice: str | None, id: str = "") -> Shown:  # noqa: A002
        """Say which answer of a blind round is better (A, B, …, equal, bad); returns it with its names."""
        told = {"id": id, "choice": choice, **visit.told}
        owner = owner_of(self.atelier, visit)
        judged = self.atelier.votes.cast(owner, str(told["id"] or ""), str(told["choice"] or ""))
        return _view.show_round(judged, visit)

    def ranking(self, visit: Visit, task: str) -> Shown:
        """Rank a task's models by all blind votes of this instance: Bradley-Terry on Elo's scale, 95 % intervals."""
        name = find_task(task).name
        if name not in WRITERS:
            told = say("say.ranking_none", task=name, tasks=", ".join(WRITERS))
            return paragraph(told, visit.language), rank(name, []).as_dict()
        votes = tellable(self.atelier.votes.of_task(name), self.atelier.registry)
        return draw_ranking(rank(name, votes), visit)

    def opened(self, _: Visit, task: str, models: list[str] | None) -> Any:
        """Offer the models of the task that is chosen; what is chosen stays."""
        return self._offered(task, models)

    def other_task(self, _: Visit, task: str, models: list[str] | None) -> tuple[Any, ...]:
        """Offer another task's models, and show its settings only."""
        writes, draws = task in WRITERS, task in {"text-generation", "chat"}
        seen = {
            "question": task == "question-answering",
            **dict.fromkeys(("source_language", "target_language"), task == "translation"),
            **dict.fromkeys(("blind", "max_new_tokens"), writes),
            **dict.fromkeys(("do_sample", "temperature", "seed"), draws),
        }
        updates = {name: gr.update(visible=seen[name]) for name in self.VARYING}
        if not writes:
            updates["blind"] = gr.update(visible=False, value=False)
        known = set(self.atelier.registry.choices(task))
        return self._offered(task, [name for name in models or () if name in known]), *updates.values()

    def _offered(self, task: str, models: list[str] | None) -> Any:
        names = self.atelier.registry.choices(task)
        return gr.update(choices=names, value=models or [find_task(task).default])
