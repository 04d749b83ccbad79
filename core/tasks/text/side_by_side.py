"""Up to four models asked the same, one after the other: each answers, refuses in words, or is stopped, on its own."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import fields
from core.errors import AtelierError, Cancelled, InvalidInput
from core.events import CancelToken
from core.known_tasks import find_task
from core.models.ledger import Resident
from core.models.registry import Registry
from core.provenance import Provenance
from core.seeds import LARGEST_SEED, drawn
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane
from core.tasks.text.question import TASKS, WRITERS, Answered, Question, Told, ask
from core.tasks.text.question_answering import QUESTION_CHARACTERS
from core.words import say

MOST_MODELS = 4
FEWEST_BLIND = 2
"""Answers that there must be for one of them to be better."""


@dataclass(frozen=True, kw_only=True)
class SideBySideSettings:
    """What is asked, of whom, and whether names are hidden until somebody has judged."""

    task: str = fields.choice("text-generation", TASKS)
    text: str = fields.text(limit=LIMITS.text_characters)
    question: str = fields.text(limit=QUESTION_CHARACTERS, optional=True)
    """For question answering; the text is then the context."""
    models: Any = ()
    """Names, or one text with commas between them; none = the task's starter. It becomes a tuple of names."""
    max_new_tokens: int = fields.number(128, low=1, high=1024)
    do_sample: bool = False
    temperature: float = fields.number(0.8, low=0.05, high=5.0, step=0.05)
    seed: int = fields.number(-1, low=-1, high=LARGEST_SEED)
    """-1 = drawn once, and the same for all models."""
    source_language: str = fields.text(limit=40, optional=True)
    target_language: str = fields.text(limit=40, optional=True)
    blind: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits; a task's older name becomes today's, and names become a tuple."""
        if isinstance(self.task, str) and self.task not in TASKS:
            object.__setattr__(self, "task", find_task(self.task).name)
        fields.enforce(self)
        object.__setattr__(self, "models", _names(self.models) or (find_task(self.task).default,))
        for name in ("do_sample", "blind"):
            if not isinstance(value := getattr(self, name), bool):  # "false" is a true string
                raise InvalidInput("error.not_a_flag", name=name, value=value)
        if self.task == "question-answering" and not self.question.strip():
            raise InvalidInput("error.text_empty", name="question", limit=QUESTION_CHARACTERS)
        self._check_models()

    def _check_models(self) -> None:
        count = len(self.models)
        if count > MOST_MODELS:
            raise InvalidInput("error.side_models", count=count, limit=MOST_MODELS)
        twice = next((name for name in self.models if self.models.count(name) > 1), None)
        if twice:
            raise InvalidInput("error.side_twice", name=twice)
        if self.blind and self.task not in WRITERS:
            raise InvalidInput("error.side_blind_task", task=self.task, tasks=", ".join(WRITERS))
        if self.blind and count < FEWEST_BLIND:
            raise InvalidInput("error.side_blind_alone", fewest=FEWEST_BLIND)

    @property
    def asked(self) -> Question:
        """The question, with a seed that is drawn now where none is named."""
        same = ("text", "question", "source_language", "target_language", "max_new_tokens", "do_sample", "temperature")
        return Question(**{name: getattr(self, name) for name in same}, seed=drawn(self.seed))


def _names(value: Any) -> tuple[str, ...]:
    """Return the names in a list, or between the commas of a text."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, Sequence) or not all(isinstance(one, str) for one in listed):
        raise InvalidInput("error.side_names")
    return tuple(name for one in listed if (name := one.strip()))


def ask_side_by_side(
    settings: SideBySideSettings, registry: Registry, lane: Lane = INTERACTIVE, told: Told | None = None
) -> Iterator[Answered]:
    """Yield each model's answer as soon as it is there, in the order of the settings.

    A model that refuses says so in its place, and the others answer. After a stop the rest is marked as stopped, and
    nothing more is loaded. `told` hears the text that is being written. Nothing is held between two answers.
    """
    asked, cancel = settings.asked, lane.cancel or CancelToken()
    here = _Here(settings.task, asked, registry, replace(lane, cancel=cancel), told)
    for model in settings.models:
        yield here.answer_of(model)


@dataclass(frozen=True)
class _Here:
    task: str
    asked: Question
    registry: Registry
    lane: Lane
    told: Told | None

    def answer_of(self, model: str) -> Answered:
        """Ask one model; only a fault of ours raises."""
        cancel = self.lane.cancel or CancelToken()
        started, known = time.perf_counter(), {row.id for row in self.registry.ledger()}
        try:
            cancel.check()
            result, provenance = ask(self.task, model, self.asked, self.registry, self.lane, self.told)
        except Cancelled:
            return Answered(model, None, None, say("say.side_stopped"), stopped=True)
        except AtelierError as refusal:
            return Answered(model, None, None, refusal.sentence)
        row = resident_of(self.registry.ledger(), provenance)
        loaded = row is not None and row.id not in known
        return Answered(
            model,
            result,
            provenance,
            load_seconds=min(row.load_seconds, time.perf_counter() - started) if row and loaded else 0.0,
            measured_bytes=row.measured_bytes if row else None,
            stopped=cancel.cancelled,
        )


def resident_of(ledger: Collection[Resident], provenance: Provenance) -> Resident | None:
    """Return the model in memory that has just answered so; None for one elsewhere, and one that has gone since."""
    wanted = provenance.model, provenance.revision, provenance.adapter
    rows = [row for row in ledger if (row.name, row.revision, row.adapter) == wanted]
    return min(rows, key=lambda row: row.idle_seconds, default=None)
