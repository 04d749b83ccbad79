"""What the buttons of the Train tab do: each handler asks the core, and returns what the page shows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any

from core.atelier import Atelier
from core.errors import InvalidInput
from core.runs import PREFIX
from core.settings import Capability
from core.training.data.watch import Watch
from core.training.desk import KIND
from core.training.merge import merge_run
from core.words import in_bytes, say
from tabs._events import Visit
from tabs._owner import owner_of
from tabs._views import paragraph, table
from tabs.train._data_view import columns_of, show_data
from tabs.train._form import settings_of
from tabs.train._plan_view import show_plan
from tabs.train._run_view import Shown, as_result, draw, look, nothing_yet, watch


@dataclass(frozen=True)
class TrainHandlers:
    """All handlers of the tab; `values` are the form's, by field."""

    atelier: Atelier

    def data(self, visit: Visit, row: float = 0, **values: Any) -> tuple[str, Any]:
        """Look at the data: columns, split, problems, and a row in tokens with those marked that carry loss."""
        self._require()
        found = self.atelier.train_desk.look(settings_of(values), int(row or 0), _watch(visit))
        return show_data(found, visit)

    def guess(self, visit: Visit, **values: Any) -> Any:
        """Fill in which column is which; what was typed there is made anew, for the data are others now."""
        settings = settings_of({**values, "columns": ""})
        if not (settings.file or settings.dataset) or not self.atelier.settings.allows(Capability.TRAIN):
            return ""
        return columns_of(self.atelier.train_desk.look(settings, 0, _watch(visit)).splits)

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

    def follow(self, visit: Visit, job: str | None) -> Generator[Shown | None]:
        """Follow a training by its job, or your latest one, from any browser."""
        found = job or self._latest(visit)
        if found:
            yield from watch(self.atelier, visit, found)
        else:
            yield nothing_yet(visit)

    def status(self, visit: Visit, job: str | None) -> tuple[str, Any]:
        """Say how a training stands: state, progress, curves, samples, notes and the end of its log."""
        found = job or self._latest(visit)
        if not found:
            view, _, result = nothing_yet(visit)
            return view, result
        run, history = look(self.atelier, visit, found)
        return draw(self.atelier, visit, run, history), as_result(self.atelier, visit, run, history)

    def stop(self, visit: Visit, job: str | None) -> str:
        """Ask a training to stop after its step; a checkpoint is written first, so that it can go on later."""
        self._require()
        return self.atelier.training.stop(self._one(visit, job), owner_of(self.atelier, visit)).value

    def resume(self, visit: Visit, job: str | None) -> tuple[str, str]:
        """Go on with a training that was stopped or died, from its newest whole checkpoint."""
        self._require()
        owner = owner_of(self.atelier, visit)
        return self._begun(visit, self.atelier.training.resume(self._one(visit, job), owner))

    def merge(self, visit: Visit, job: str | None) -> tuple[str, Any]:
        """Write a finished run's adapter and its base as one model, once its answers are verified to be the same."""
        self._require()
        view = self.atelier.training.view(self._one(visit, job), owner_of(self.atelier, visit))
        name = str(view.settings.get("name") or view.id)
        made = merge_run(f"{PREFIX}{name}", self.atelier.registry, visit.report, visit.cancel)
        verdict = made.verdict
        told = say(
            "say.train_merged",
            name=name,
            size=in_bytes(made.size_bytes),
            probes=verdict.probes,
            difference=f"{verdict.difference:.2g}",
            moved=f"{verdict.moved:.2g}",
        )
        result = {"name": name, "folder": str(made.folder), "size_bytes": made.size_bytes, **asdict(verdict)}
        return paragraph(told, visit.language) + paragraph(say("say.verbatim", text=str(made.folder)), "en"), result

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
                f"run/{one.settings.get('name', '')}",
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

    def _one(self, visit: Visit, job: str | None) -> str:
        found = job or self._latest(visit)
        if not found:
            raise InvalidInput("error.no_training")
        return found

    def _latest(self, visit: Visit) -> str | None:
        """Return the visitor's running training, else the last one."""
        found = [one for one in self.atelier.training.recent(owner_of(self.atelier, visit)) if one.kind == KIND]
        alive = [one for one in found if one.state.alive]
        return (alive or found)[0].id if found else None

    def _require(self) -> None:
        self.atelier.settings.require(Capability.TRAIN)


def _watch(visit: Visit) -> Watch:
    return Watch(visit.report, visit.cancel)
