"""One question for models of any text task, asked alike: what is compared differs by the model alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.provenance import Provenance
from core.words import Sentence

if TYPE_CHECKING:
    from core.models.registry import Registry
    from core.tasks.text.encoder import Lane

Result = tuple[Any, Provenance]
"""What the task's own `result` is (plain JSON), and what ran."""
Told = Callable[[str], None]
"""Told the text so far, by the tasks that write token by token."""
LONGEST_SUMMARY = 500
"""Tokens; the task's own limit."""


@dataclass(frozen=True)
class Question:
    """What every model is asked, and how those that write do it."""

    text: str
    question: str = ""
    """For question answering; the text is then the context."""
    source_language: str = ""
    """For translation; "" = what the model was trained with."""
    target_language: str = ""
    max_new_tokens: int = 64
    do_sample: bool = False
    """For text generation and chat; greedy, only the weights make a difference."""
    temperature: float = 0.8
    seed: int = -1


@dataclass(frozen=True)
class Answered:
    """What one model said to it."""

    model: str
    """The name that it was asked by."""
    result: Any
    """As the task's page and endpoint give it; None where it cannot answer."""
    provenance: Provenance | None
    refusal: Sentence | None = None
    """Why it cannot answer: an encoder without a head has nothing to say."""
    load_seconds: float = 0.0
    """What loading took of its time; 0 for a model that was in memory."""
    measured_bytes: int | None = None
    """What the model takes in memory; None for one elsewhere, and one that has gone since."""
    stopped: bool = False
    """Somebody stopped it; what it had written until then is its result."""


def ask(task: str, model: str, asked: Question, registry: Registry, lane: Lane, told: Told | None = None) -> Result:
    """Put the question to one model; raises what its task raises."""
    return _ASKED[task](_Asking(model, asked, registry, lane, told))


@dataclass(frozen=True)
class _Asking:
    model: str
    asked: Question
    registry: Registry
    lane: Lane
    told: Told | None

    @property
    def place(self) -> tuple[Registry, Lane]:
        return self.registry, self.lane

    @property
    def writing(self) -> dict[str, Any]:
        """The settings of `generate`; what plays no part is left as it is."""
        asked = self.asked
        drawn = {"temperature": asked.temperature, "seed": asked.seed} if asked.do_sample else {}
        return {"max_new_tokens": asked.max_new_tokens, "do_sample": asked.do_sample, **drawn}


def _classified(one: _Asking) -> Result:
    from core.tasks.text.text_classification import TextClassificationSettings, classify_text

    found = classify_text(TextClassificationSettings(text=one.asked.text, model=one.model), *one.place)
    return found.result, found.provenance


def _marked(one: _Asking) -> Result:
    from core.tasks.text.token_classification import TokenClassificationSettings, classify_tokens

    found = classify_tokens(TokenClassificationSettings(text=one.asked.text, model=one.model), *one.place)
    return found.result, found.provenance


def _found(one: _Asking) -> Result:
    from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_question

    settings = QuestionAnsweringSettings(question=one.asked.question, context=one.asked.text, model=one.model)
    found = answer_question(settings, *one.place)
    return found.result, found.provenance


def _filled(one: _Asking) -> Result:
    from core.tasks.text.fill_mask import FillMaskSettings, fill_masks

    found = fill_masks(FillMaskSettings(text=one.asked.text, model=one.model), *one.place)
    return found.result, found.provenance


def _continued(one: _Asking) -> Result:
    from core.tasks.text.text_generation import TextGenerationSettings, generate_text

    prompt, told = one.asked.text, one.told
    settings = TextGenerationSettings(prompt=prompt, model=one.model, candidates=0, **one.writing)
    found = generate_text(settings, *one.place, (lambda texts: told(prompt + texts[0])) if told else None)
    return found.result, found.provenance


def _said(one: _Asking) -> Result:
    from core.tasks.text.chat import ChatSettings, chat

    found = chat(ChatSettings(message=one.asked.text, model=one.model, **one.writing), *one.place, one.told)
    return found.result, found.provenance


def _translated(one: _Asking) -> Result:
    from core.tasks.text.translation import TranslationSettings, translate

    settings = TranslationSettings(
        text=one.asked.text,
        model=one.model,
        max_new_tokens=one.asked.max_new_tokens,
        source_language=one.asked.source_language,
        target_language=one.asked.target_language,
    )
    found = translate(settings, *one.place)
    return found.result, found.provenance


def _shortened(one: _Asking) -> Result:
    from core.tasks.text.summarization import SummarizationSettings, summarize

    longest = min(one.asked.max_new_tokens, LONGEST_SUMMARY)
    found = summarize(SummarizationSettings(text=one.asked.text, model=one.model, max_length=longest), *one.place)
    return found.result, found.provenance


_ASKED: Mapping[str, Callable[[_Asking], Result]] = {
    "text-generation": _continued,
    "chat": _said,
    "translation": _translated,
    "summarization": _shortened,
    "text-classification": _classified,
    "token-classification": _marked,
    "question-answering": _found,
    "fill-mask": _filled,
}
TASKS = tuple(_ASKED)
"""The tasks whose models can be asked alike."""
WRITERS = ("text-generation", "chat", "translation", "summarization")
"""Those of them whose answer is a text, of which a reader can say which is better."""
