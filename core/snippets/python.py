"""The Python that gives the same result without Atelier: transformers, and peft where an adapter is involved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from core.catalogue import find_task
from core.provenance import Provenance
from core.remote.names import is_remote
from core.snippets import pipelines
from core.snippets.attention import attention
from core.snippets.chat import chat
from core.snippets.feature_extraction import feature_extraction
from core.snippets.fill_mask import fill_mask
from core.snippets.loading import Plan
from core.snippets.origin import Origin, Place, origin_of
from core.snippets.question_answering import question_answering
from core.snippets.source import Code, code, source
from core.snippets.summarization import summarization
from core.snippets.text_generation import text_generation
from core.snippets.translation import translation
from core.tasks.text.abstractive import IN_PARTS
from core.tasks.text.options import ModelOptions
from core.tasks.text.summarization import CUTS

Writer = Callable[[Any, Plan], list[Code]]
"""(settings, plan) → pieces that end with a variable `result`."""

WRITERS: Mapping[str, Writer] = {
    "text-classification": pipelines.text_classification,
    "zero-shot-classification": pipelines.zero_shot_classification,
    "token-classification": pipelines.token_classification,
    "question-answering": question_answering,
    "feature-extraction": feature_extraction,
    "summarization": summarization,
    "fill-mask": fill_mask,
    "attention": attention,
    "text-generation": text_generation,
    "translation": translation,
    "chat": chat,
}


class Answered(Protocol):
    """A skill's result, as far as its code needs it."""

    @property
    def provenance(self) -> Provenance:
        """Which model answered, and how it ran."""


def python_snippet(task: str, settings: ModelOptions, answer: Answered) -> str:
    """Return a program that prints the `result` of this answer as JSON; it needs neither Atelier nor its server.

    A starter is read from assets/starters, so run it in the project folder; a Hub model is pinned to the commit that
    answered.
    """
    pieces = WRITERS[find_task(task).name](settings, plan_of(settings, answer))
    return source(*pieces, code("json", "print(json.dumps(result, ensure_ascii=False, indent=2, default=float))"))


def plan_of(settings: ModelOptions, answer: Answered) -> Plan:
    """Return what ran, as the writers need it; the answer's notes say how much of a long text was read."""
    provenance, elsewhere = answer.provenance, is_remote(settings.model)
    notes = getattr(answer, "notes", ())
    return Plan(
        origin=Origin(Place(provenance.model)) if elsewhere else origin_of(settings.model, provenance),
        device=provenance.device,
        dtype=provenance.dtype,
        attention=provenance.attention,
        quantisation=settings.quantisation,
        cut_to=next((note.values["read"] for note in notes if note.key in {*CUTS, "say.prompt_cut"}), None),
        seed=provenance.seed,
        part=getattr(answer, "part", None),
        targets=getattr(answer, "targets", ()),
        chat=getattr(answer, "given", None),
        left_out=getattr(answer, "left_out", 0),
        thought=getattr(answer, "thought", False),
        direction=getattr(answer, "direction", None),
        pairs=getattr(answer, "pairs", ()),
        in_parts=next((note.values["read"] for note in notes if note.key in IN_PARTS), None),
    )
