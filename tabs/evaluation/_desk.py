"""What the buttons of an evaluation do: each handler asks the core, and returns what the page shows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import BadFile, InvalidInput
from core.evaluation.row_choice import RowChoice, choose_rows, evaluated
from core.words import say
from tabs._events import Visit
from tabs._owner import owner_of
from tabs._views import notes, paragraph
from tabs.evaluation._code import code_of
from tabs.evaluation._details_view import show_details
from tabs.evaluation._form import of_task, offered, settings_of
from tabs.evaluation._rows_view import as_result as rows_as_result
from tabs.evaluation._rows_view import show_rows
from tabs.evaluation._run_view import Look, as_result, compared, draw, look, nothing_yet, watch
from tabs.evaluation._watched import Watched
from tabs.evaluation._which import choosing, latest, the_one, to_choose

NOTHING_CHOSEN = ("", "", 1)
"""No cell of the matrix, and the first page."""
MOST_TOLD = 5
"""Outputs of rows: view, JSON, and where they are."""


@dataclass(frozen=True)
class EvaluateHandlers:
    """All handlers of the panel; `values` are the form's, by field."""

    atelier: Atelier
    watched: Watched = field(default_factory=Watched)

    def task(self, _: Visit, task: str) -> tuple[Any, ...]:
        """Offer the models, data and metrics of a task, and the fields that it has."""
        return of_task(self.atelier, task)

    def offers(self, visit: Visit, task: str) -> tuple[Any, Any]:
        """Offer what was trained meanwhile."""
        return offered(self.atelier, visit, task)

    def uploaded(self, _: Visit, file: str | None) -> Any:
        """Let an upload take the place of a sample or data set."""
        return "" if file else gr.skip()

    def named(self, _: Visit, dataset: str | None) -> Any:
        """Let a sample or data set take the place of an upload."""
        return None if dataset else gr.skip()

    def start(self, visit: Visit, **values: Any) -> tuple[str, str]:
        """Start an evaluation of up to four models on the same rows and return its job; a twin is not started twice."""
        settings = settings_of(self.atelier, values)
        job = self.atelier.evaluation_desk.start(settings, owner_of(self.atelier, visit))
        return paragraph(say("say.evaluate_begun"), visit.language), job

    def follow(self, visit: Visit, job: str | None) -> Generator[tuple[Any, ...] | None]:
        """Follow an evaluation by its job, or your latest one, from any browser."""
        found = job or latest(self.atelier, visit)
        if not found:
            yield self._nothing(visit)
            return
        before: tuple[Any, ...] = ()
        for seen in self.watched.alone(visit.page, watch(self.atelier, visit, found)):
            if seen is None:
                yield None
                continue
            now = (seen.view.state, tuple(evaluated(seen.told)) if seen.told else ())
            yield self._shown(visit, seen, changed=now != before)
            before = now

    def status(self, visit: Visit, job: str | None) -> tuple[str, Any]:
        """Say how an evaluation stands: state, progress, and all numbers that it has so far."""
        found = job or latest(self.atelier, visit)
        if not found:
            return nothing_yet(visit), None
        seen = look(self.atelier, visit, found)
        return draw(seen, visit), as_result(seen)

    def stop(self, visit: Visit, job: str | None) -> str:
        """Ask an evaluation to stop; models that are done keep their numbers, and no answer is asked for twice."""
        found = the_one(self.atelier, visit, job)
        return self.atelier.evaluations.stop(found, owner_of(self.atelier, visit)).value

    def choices(self, visit: Visit) -> Any:
        """Offer the visitor's evaluations."""
        return gr.update(choices=to_choose(self.atelier, visit))

    def models_of(self, visit: Visit, other_job: str | None) -> Any:
        """Offer the models of another evaluation."""
        told = self._told(visit, other_job)
        return gr.update(choices=evaluated(told), value=evaluated(told)[-1] if evaluated(told) else "")

    def details(self, visit: Visit, job: str | None, model: str = "", **wanted: Any) -> tuple[Any, ...]:
        """Show a model's classes, charts and worst rows."""
        told = self._told(visit, job)
        return show_details(told, model, visit), *self._rows(visit, job, told, {**wanted, "model": model, "first": 1})

    def rows(self, visit: Visit, job: str | None, **wanted: Any) -> tuple[str, Any]:
        """Show rows with each model's answer: the worst first, those won or lost beside another, or a matrix's cell."""
        view, result, *_ = self._rows(visit, job, self._told(visit, job), wanted, strict=True)
        return view, result

    def first_rows(self, visit: Visit, job: str | None, **wanted: Any) -> tuple[Any, ...]:
        """Show the first page of other rows."""
        return self._rows(visit, job, self._told(visit, job), {**wanted, "first": 1}, strict=True)

    def chosen_rows(self, visit: Visit, job: str | None, **wanted: Any) -> tuple[Any, ...]:
        """Show the rows of the cell that was clicked, or the page."""
        told = {name: str(value) for name, value in visit.told.items() if name in ("expected", "predicted")}
        first = str(visit.told.get("first", "1"))
        place = {"first": int(first) if first.isdecimal() else 1}
        return self._rows(visit, job, self._told(visit, job), {**wanted, **told, **place}, strict=True)

    def compare(
        self, visit: Visit, job: str | None, model: str = "", other_job: str | None = None, other_model: str = ""
    ) -> tuple[str, Any]:
        """Compare two models over the rows of both evaluations; no other_job is the same evaluation."""
        first, desk = the_one(self.atelier, visit, job), self.atelier.evaluation_desk
        second = other_job or first
        names, others = (evaluated(self._told(visit, one)) for one in (first, second))
        pair = [(first, model or _end(names, 0)), (second, other_model or _end(others, -1))]
        if pair[0] == pair[1]:
            raise InvalidInput("error.evaluate_same_model", model=pair[0][1])
        found = desk.compare(pair, owner_of(self.atelier, visit))
        return compared(found, visit), found

    def _told(self, visit: Visit, job: str | None) -> Any:
        return self.atelier.evaluation_desk.read(the_one(self.atelier, visit, job), owner_of(self.atelier, visit))

    def _nothing(self, visit: Visit) -> tuple[Any, ...]:
        hidden = gr.update(visible=False)
        return (nothing_yet(visit), "", hidden, hidden, *(gr.skip(),) * (4 + MOST_TOLD))

    def _shown(self, visit: Visit, seen: Look, *, changed: bool) -> tuple[Any, ...]:
        """Return all outputs of whoever follows; what did not change is left as it is."""
        view, told = draw(seen, visit), seen.told
        if not changed:
            return (view, *(gr.skip(),) * (7 + MOST_TOLD))
        names = evaluated(told) if told else []
        first = names[0] if names else ""
        named = choosing(self.atelier, visit, seen.view.id)
        stop, column = gr.update(visible=seen.view.state.alive), gr.update(visible=bool(names))
        model = gr.update(choices=names, value=first)
        other = gr.update(choices=[("–", ""), *((name, name) for name in names)], value="", visible=len(names) > 1)
        if not told or not names:
            return view, named, stop, column, "", model, other, "", "", None, *NOTHING_CHOSEN
        details = show_details(told, first, visit)
        rows = self._rows(visit, seen.view.id, told, {"model": first})
        code = code_of(self.atelier, visit, seen)
        return view, named, stop, column, code, model, other, details, *rows

    def _rows(
        self, visit: Visit, job: str | None, told: Any, wanted: dict[str, Any], *, strict: bool = False
    ) -> tuple[Any, ...]:
        """Return view, result, and where these rows are (cell and page).

        Before an evaluation has ended well it has no rows: that is told in words, or refused where `strict`.
        """
        choice = RowChoice(**{name: value for name, value in wanted.items() if value is not None})
        place = (choice.expected, choice.predicted, choice.first)
        try:
            lines = self.atelier.evaluation_desk.rows(the_one(self.atelier, visit, job), owner_of(self.atelier, visit))
        except BadFile:
            if strict:
                raise
            return notes([say("say.evaluate_rows_later")], visit.language), None, *place
        found = choose_rows(lines, told, choice)
        return show_rows(found, told, choice, visit), rows_as_result(found), *place


def _end(names: list[str], place: int) -> str:
    """Return the first or last name; "" where there is none, which is refused by name then."""
    return names[place] if names else ""
