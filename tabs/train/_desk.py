"""What the buttons of the Train tab do: each handler asks the core, and returns what the page shows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import AtelierError
from core.jobs.runner import State
from core.settings import Capability
from core.training.data.columns import columns_as_text
from core.training.data.samples import samples_for
from core.training.data.watch import Watch
from core.training.tasks import find_train_task
from core.words import say
from tabs._events import Refusal, Visit
from tabs._owner import owner_of
from tabs._views import paragraph, table
from tabs.train._data_view import show_data
from tabs.train._form import closed, settings_of
from tabs.train._plan_view import show_plan
from tabs.train._run_view import as_result, draw, look, nothing_yet, watch
from tabs.train._which import choosing, latest, name_of, the_one, to_choose

NO_COLUMNS = ("", None)
"""Shown where there are no data: no columns, and none to choose."""
ALIVE = tuple(state.value for state in State if state.alive)


@dataclass(frozen=True)
class TrainHandlers:
    """All handlers of the tab; `values` are the form's, by field."""

    atelier: Atelier

    def data(self, visit: Visit, row: float = 0, **values: Any) -> tuple[str, Any]:
        """Look at the data: columns, split, problems, and a row in tokens with those marked that carry loss."""
        self._require()
        found = self.atelier.train_desk.look(settings_of(values), int(row or 0), _watch(visit))
        return show_data(found, visit)

    def task(self, _: Visit, task: str) -> tuple[Any, ...]:
        """Offer the bases, methods and samples of a task; columns and groups belong to the task before."""
        found, bases = find_train_task(task), self.atelier.train_desk.bases(task)
        return (
            gr.update(choices=bases, value=bases[0]),
            gr.update(choices=list(found.methods), value=found.methods[0]),
            gr.update(choices=list(samples_for(task)), value=""),
            *("", None),
            *closed(),
        )

    def guess(self, visit: Visit, **values: Any) -> tuple[str, Any]:
        """Guess which column is what, and offer the others; what was chosen stays where these data have it."""
        settings = settings_of(values)
        if not (settings.file or settings.dataset) or not self.atelier.settings.allows(Capability.TRAIN):
            return NO_COLUMNS
        try:
            found = self.atelier.train_desk.columns(settings, _watch(visit))
        except AtelierError as problem:
            raise Refusal(problem, NO_COLUMNS) from problem
        return columns_as_text(found.forms[found.chosen].columns), asdict(found)

    def guess_of_file(self, visit: Visit, **values: Any) -> tuple[Any, ...]:
        """Guess the columns of an upload; it takes the place of a sample or data set."""
        return self._newest(visit, "file", "dataset", values)

    def guess_of_dataset(self, visit: Visit, **values: Any) -> tuple[Any, ...]:
        """Guess the columns of a sample or data set; it takes the place of an upload."""
        return self._newest(visit, "dataset", "file", values)

    def _newest(self, visit: Visit, source: str, other: str, values: dict[str, Any]) -> tuple[Any, ...]:
        """Let the source that was chosen last stand alone; where it was emptied, the other one stays."""
        if not values[source]:
            return (gr.skip(),) * 3 if values[other] else (gr.skip(), *NO_COLUMNS)
        none = "" if other == "dataset" else None
        try:
            return (none, *self.guess(visit, **{**values, other: none}))
        except Refusal as refusal:
            raise Refusal(refusal.problem, (none, *NO_COLUMNS)) from refusal.problem

    def plan(self, visit: Visit, **values: Any) -> tuple[str, Any]:
        """Say what a training would take before it starts: steps, memory, time, evictions, settings file, command."""
        self._require()
        settings, desk = settings_of(values), self.atelier.train_desk
        found = desk.look(settings, watch=_watch(visit))
        return show_plan(desk.plan(settings, found.shape, visit.cancel), visit)

    def start(self, visit: Visit, **values: Any) -> tuple[str, str]:
        """Start a training in a process of its own and return its job; the very same one is not started twice."""
        self._require()
        job = self.atelier.train_desk.start(settings_of(values), owner_of(self.atelier, visit), _watch(visit))
        return self._begun(visit, job)

    def follow(self, visit: Visit, job: str | None) -> Generator[tuple[Any, ...] | None]:
        """Follow a training by its job, or your latest one, from any browser; buttons are there when they can act."""
        found = job or latest(self.atelier, visit)
        if not found:
            yield (*nothing_yet(visit), *actions(None))
            return
        state = ""
        for shown in watch(self.atelier, visit, found):
            if shown is None:
                yield None
                continue
            view, _, result = shown
            named = gr.skip() if result["state"] == state else choosing(self.atelier, visit, found)
            state = result["state"]
            yield (view, named, result, *actions(result))

    def status(self, visit: Visit, job: str | None) -> tuple[str, Any]:
        """Say how a training stands: state, progress, curves, samples, notes and the end of its log."""
        found = job or latest(self.atelier, visit)
        if not found:
            view, _, result = nothing_yet(visit)
            return view, result
        run, history = look(self.atelier, visit, found)
        return draw(self.atelier, visit, run, history), as_result(self.atelier, visit, run, history)

    def stop(self, visit: Visit, job: str | None) -> str:
        """Ask a training to stop after its step; a checkpoint is written first, so that it can go on later."""
        self._require()
        return self.atelier.training.stop(the_one(self.atelier, visit, job), owner_of(self.atelier, visit)).value

    def resume(self, visit: Visit, job: str | None) -> tuple[str, str]:
        """Go on with a training that was stopped or died, from its newest whole checkpoint."""
        self._require()
        owner = owner_of(self.atelier, visit)
        return self._begun(visit, self.atelier.training.resume(the_one(self.atelier, visit, job), owner))

    def runs(self, visit: Visit) -> tuple[str, Any]:
        """List your trainings, newest first, with their state and how long they took."""
        found = self.atelier.train_desk.runs(owner_of(self.atelier, visit))
        result = [
            {
                "job": one.id,
                "name": one.settings.get("name", ""),
                "task": one.settings.get("task", ""),
                "method": one.settings.get("method", ""),
                "model": one.settings.get("model", ""),
                "state": one.state.value,
                "seconds": one.seconds,
                "created": one.created,
                "resumable": one.resumable,
            }
            for one in found
        ]
        if not found:
            return paragraph(say("say.train_empty"), visit.language, kind="empty"), result
        head = [visit.say(say(f"say.train_list_{name}")) for name in ("name", "task", "method", "state", "seconds")]
        rows = [
            (
                name_of(one),
                one.settings.get("task", ""),
                one.settings.get("method", ""),
                visit.say(say(f"say.state_{one.state.value}")),
                f"{one.seconds:,.0f} s",
            )
            for one in found
        ]
        return table(head, rows), result

    def _begun(self, visit: Visit, job: str) -> tuple[str, str]:
        return paragraph(say("say.train_begun"), visit.language), job

    def choices(self, visit: Visit) -> Any:
        """Offer the visitor's trainings."""
        return gr.update(choices=to_choose(self.atelier, visit))

    def _require(self) -> None:
        self.atelier.settings.require(Capability.TRAIN)


def _watch(visit: Visit) -> Watch:
    return Watch(visit.report, visit.cancel)


def actions(result: dict[str, Any] | None) -> tuple[Any, ...]:
    """Return updates that show what can be done: stop, go on, and all that a finished run offers."""
    told = result or {"state": "", "resumable": False, "task": ""}
    return (
        gr.update(visible=told["state"] in ALIVE),
        gr.update(visible=bool(told["resumable"])),
        gr.update(visible=told["state"] == State.SUCCEEDED.value),
        gr.update(visible=told["task"] == "question-answering"),
        gr.update(visible=False),
    )
