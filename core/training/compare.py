"""Base and adapted side by side: the same text, answered by what a run stands on and by the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.catalogue import STARTER_BASE, Source
from core.errors import WrongTask
from core.provenance import Provenance
from core.runs import ANSWERS, Run
from core.training.base import PLAIN_STARTER
from core.training.record import read_run
from core.words import Sentence, say

if TYPE_CHECKING:
    from core.models.registry import Registry
    from core.tasks.text.encoder import Lane

Result = tuple[Any, Provenance]
"""What the task's own `result` is (plain JSON), and what ran."""


@dataclass(frozen=True)
class Question:
    """What both are asked."""

    text: str
    question: str = ""
    """For question answering; the text is then the context."""
    source_language: str = ""
    """For translation; "" = what the run was trained with."""
    target_language: str = ""
    max_new_tokens: int = 64


@dataclass(frozen=True)
class Answered:
    """One side."""

    model: str
    result: Any
    """As the task's page and endpoint give it; None where it cannot answer."""
    provenance: Provenance | None
    refusal: Sentence | None = None
    """Why it cannot answer: an encoder without a head has nothing to say."""


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
    if task not in _ASKED:
        raise WrongTask("error.compare_pictures", name=run.name)
    ask, travel = _ASKED[task], lane or INTERACTIVE
    asked = _with_languages(asked, run) if task == "translation" else asked
    adapted = Answered(run.name, *ask(run.name, asked, registry, travel))
    return SideBySide(task, _answer_of_base(run, ask, asked, registry, travel), adapted)


def _with_languages(asked: Question, run: Run) -> Question:
    """Take the languages that the run was trained with where none is named."""
    told = read_run(run.result).settings
    return replace(
        asked,
        source_language=asked.source_language or str(told.get("source_language") or ""),
        target_language=asked.target_language or str(told.get("target_language") or ""),
    )


def _answer_of_base(run: Run, ask: Ask, asked: Question, registry: Registry, lane: Lane) -> Answered:
    name = name_of_base(run)
    try:
        return Answered(name, *ask(name, asked, registry, lane))
    except WrongTask:
        return Answered(name, None, None, say("say.compare_no_head", base=name, task=run.task))


def name_of_base(run: Run) -> str:
    """Return the name of the base as it was then; the starters' base, of the package, answers as a starter."""
    packaged = run.base.source == Source.STARTER.value and run.base.id == STARTER_BASE.hub_id
    return PLAIN_STARTER if packaged else run.base.name


Ask = Callable[[str, Question, "Registry", "Lane"], Result]


def _classified(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    from core.tasks.text.text_classification import TextClassificationSettings, classify_text

    found = classify_text(TextClassificationSettings(text=asked.text, model=model), registry, lane)
    return found.result, found.provenance


def _marked(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    from core.tasks.text.token_classification import TokenClassificationSettings, classify_tokens

    found = classify_tokens(TokenClassificationSettings(text=asked.text, model=model), registry, lane)
    return found.result, found.provenance


def _found(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_question

    settings = QuestionAnsweringSettings(question=asked.question, context=asked.text, model=model)
    found = answer_question(settings, registry, lane)
    return found.result, found.provenance


def _filled(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    from core.tasks.text.fill_mask import FillMaskSettings, fill_masks

    found = fill_masks(FillMaskSettings(text=asked.text, model=model), registry, lane)
    return found.result, found.provenance


def _continued(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    """Write on greedily, so that only the weights make a difference."""
    from core.tasks.text.text_generation import TextGenerationSettings, generate_text

    settings = TextGenerationSettings(
        prompt=asked.text, model=model, do_sample=False, max_new_tokens=asked.max_new_tokens
    )
    found = generate_text(settings, registry, lane)
    return found.result, found.provenance


def _translated(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    from core.tasks.text.translation import TranslationSettings, translate

    settings = TranslationSettings(
        text=asked.text,
        model=model,
        max_new_tokens=asked.max_new_tokens,
        source_language=asked.source_language,
        target_language=asked.target_language,
    )
    found = translate(settings, registry, lane)
    return found.result, found.provenance


def _shortened(model: str, asked: Question, registry: Registry, lane: Lane) -> Result:
    from core.tasks.text.summarization import SummarizationSettings, summarize

    settings = SummarizationSettings(text=asked.text, model=model, max_length=asked.max_new_tokens)
    found = summarize(settings, registry, lane)
    return found.result, found.provenance


_ASKED: Mapping[str, Ask] = {
    "text-classification": _classified,
    "token-classification": _marked,
    "question-answering": _found,
    "fill-mask": _filled,
    "text-generation": _continued,
    "translation": _translated,
    "summarization": _shortened,
}
