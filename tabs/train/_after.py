"""What the buttons of a finished run do: ask base and run the same, train on, merge, take along, evaluate."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.runs import PREFIX
from core.settings import Capability
from core.tasks.text.question import Question
from core.training.compare import compare_with_base
from core.training.data.samples import samples_for
from core.training.merge import merge_run
from core.training.settings import TrainSettings
from core.training.tasks import find_train_task
from core.words import in_bytes, say
from tabs._events import Visit
from tabs._files import offer
from tabs._owner import owner_of
from tabs._views import paragraph
from tabs.train._compare_view import show_both
from tabs.train._form import DEFAULTS, MAIN, closed
from tabs.train._which import the_one


@dataclass(frozen=True)
class AfterHandlers:
    """Handlers of what a run has made."""

    atelier: Atelier

    def compare(self, visit: Visit, text: str, question: str = "", job: str | None = None) -> tuple[str, Any]:
        """Ask a finished run and its base the same text; for question answering it is the context of a question."""
        run = self.atelier.train_desk.finished(*self._mine(visit, job))
        asked = Question(text=text or "", question=question or "")
        return show_both(compare_with_base(run.name, asked, self.atelier.registry), asked, visit)

    def export(self, visit: Visit, job: str | None) -> Any:
        """Pack a finished run as a zip: adapter (or model), tokenizer, record and card, as libraries load it."""
        packed = self.atelier.train_desk.export(*self._mine(visit, job), visit.cancel)
        return gr.update(value=offer(self.atelier, packed), visible=True)

    def merge(self, visit: Visit, job: str | None) -> tuple[str, Any]:
        """Write a finished run's adapter and its base as one model, once its answers are verified to be the same."""
        run = self.atelier.train_desk.finished(*self._mine(visit, job))
        made = merge_run(run.name, self.atelier.registry, visit.report, visit.cancel)
        verdict, name = made.verdict, run.name.removeprefix(PREFIX)
        told = say(
            "say.train_merged",
            name=name,
            size=in_bytes(made.size_bytes),
            probes=verdict.probes,
            difference=f"{verdict.difference:.2g}",
            moved=f"{verdict.moved:.2g}",
        )
        folder = str(made.folder)
        result = {"name": name, "folder": folder, "size_bytes": made.size_bytes, **asdict(verdict)}
        return paragraph(told, visit.language) + paragraph(say("say.verbatim", text=folder), "en"), result

    def evaluate(self, visit: Visit, job: str | None) -> tuple[str, str]:
        """Evaluate a finished run and its base on the rows that the run held out; the Evaluate tab shows it."""
        run = self.atelier.train_desk.finished(*self._mine(visit, job))
        desk = self.atelier.evaluation_desk
        begun = desk.start(desk.of_run(run.name), owner_of(self.atelier, visit))
        return paragraph(say("say.train_evaluates", name=run.name), visit.language), begun

    def train_on(self, visit: Visit, job: str | None) -> tuple[Any, ...]:
        """Fill the form with a finished run as the base, and its own settings and data; nothing starts yet."""
        settings = self.atelier.train_desk.continuing(*self._mine(visit, job))
        told = paragraph(say("say.train_continues", name=settings.model), visit.language)
        return (*self._filled(settings), *closed(), told)

    def _filled(self, settings: TrainSettings) -> tuple[Any, ...]:
        """Return updates for the form's controls, in their order (see FILLED)."""
        task = find_train_task(settings.task)
        return (
            settings.task,
            gr.update(choices=list(task.methods), value=settings.method),
            gr.update(choices=self.atelier.train_desk.bases(settings.task), value=settings.model),
            gr.update(choices=list(samples_for(settings.task)), value=settings.dataset),
            self._upload(settings.file),
            settings.columns,
            settings.name,
            self._upload(settings.validation_file),
            _others(settings),
        )

    def _upload(self, file: str) -> str | None:
        """Offer the run's own copy of an upload, as if it were uploaded again."""
        return offer(self.atelier, Path(file)) if file else None

    def _mine(self, visit: Visit, job: str | None) -> tuple[str, str | None]:
        self.atelier.settings.require(Capability.TRAIN)
        return the_one(self.atelier, visit, job), owner_of(self.atelier, visit)


FILLED = ("task", "method", "model", "dataset", "file", "columns", "name", "validation_file", "more")
"""The form's controls in the order in which `train_on` fills them."""


def _others(settings: TrainSettings) -> str:
    """Return what differs from its default as the form holds it."""
    held = asdict(settings)
    chosen = {name: held[name] for name in held if name not in MAIN and held[name] != DEFAULTS[name]}
    return json.dumps(chosen, ensure_ascii=False, indent=1) if chosen else ""
