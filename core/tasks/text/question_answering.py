"""Where this text answers that question: the best spans of the context, copied exactly.

transformers 5 has no pipeline for it any more; the maths is that of the old one:
https://github.com/huggingface/transformers/blob/v4.57.0/src/transformers/pipelines/question_answering.py
Probabilities are normalised over each window on its own (the no-answer position [CLS] included), not over all windows
together: models are trained to point at [CLS] where a window holds no answer, which is what makes windows comparable.
One thing differs: an answer found in two overlapping windows keeps the better score, where the old pipeline added the
two up, beyond 1. Within a window, spans of the same words are still added: these cannot both be the answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.fields import number, text
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane, borrow, forward, read_span_logits, tokenize, with_notes
from core.tasks.text.options import ModelOptions
from core.tasks.text.taught import script_notes
from core.tasks.text.windows import Cut, Window, windows
from core.words import Sentence

if TYPE_CHECKING:
    import numpy as np
    import torch

TASK = "question-answering"
QUESTION_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class AnswerOptions(ModelOptions):
    """How answers are searched, whatever the question; lengths are in tokens."""

    top_k: int = number(1, low=1, high=50)
    doc_stride: int = number(128, low=0, high=4096)
    max_answer_length: int = number(30, low=1, high=500)
    max_seq_len: int = number(384, low=32, high=8192)
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    """Widen an answer to whole words; wrong for scripts without spaces where the tokenizer knows words by spaces."""

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits, and a stride that fills a whole window."""
        super().__post_init__()
        if self.doc_stride >= self.max_seq_len:
            raise InvalidInput("error.stride_too_large", stride=self.doc_stride, window=self.max_seq_len)


@dataclass(frozen=True, kw_only=True)
class QuestionSettings(AnswerOptions):
    """One question, to be put to any number of contexts."""

    question: str = text(limit=QUESTION_CHARACTERS)


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringSettings(QuestionSettings):
    """One question and the text that may hold its answer."""

    context: str = text(limit=LIMITS.context_characters)


@dataclass(frozen=True)
class Answer:
    """Characters start … end - 1 of the context; "" says that the context does not answer."""

    answer: str
    score: float
    start: int
    end: int

    @property
    def result(self) -> dict[str, Any]:
        """The same as the transformers pipeline returned: {score, start, end, answer}."""
        return {"score": self.score, "start": self.start, "end": self.end, "answer": self.answer}


NO_ANSWER = Answer("", 0.0, 0, 0)


@dataclass(frozen=True)
class QuestionAnswering:
    """At least one answer, the best first, none twice."""

    answers: tuple[Answer, ...]
    top_k: int
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> dict[str, Any] | list[dict[str, Any]]:
        """The same as the transformers pipeline returned: {score, start, end, answer}, or a list if top_k > 1."""
        return _result(self.answers, self.top_k)


def answer_question(
    settings: QuestionAnsweringSettings, registry: Registry, lane: Lane = INTERACTIVE
) -> QuestionAnswering:
    """Answer one question from one context; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    pairs = [(settings.question, settings.context)]
    with borrow(registry, settings.spec(registry, TASK), [f"{settings.question} {settings.context}"], lane) as model:
        answers = _answers(pairs, settings, registry, model, lane)[0]
        notes = script_notes(model, settings.question, settings.context)
        provenance = model.provenance(time.perf_counter() - started)
    return QuestionAnswering(answers, settings.top_k, with_notes(provenance, notes), notes)


def answer_questions(
    pairs: Sequence[tuple[str, str]], options: AnswerOptions, registry: Registry, model: LoadedModel, lane: Lane
) -> list[dict[str, Any] | list[dict[str, Any]]]:
    """Answer many (question, context) pairs with a borrowed model: one pipeline result a pair, in order."""
    return [_result(answers, options.top_k) for answers in _answers(pairs, options, registry, model, lane)]


def answer_in_texts(
    texts: Sequence[str], settings: QuestionSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[dict[str, Any] | list[dict[str, Any]]]:
    """Put the question of `settings` to many contexts: one pipeline result a context, in order."""
    return answer_questions([(settings.question, one) for one in texts], settings, registry, model, lane)


def _result(answers: Sequence[Answer], top_k: int) -> dict[str, Any] | list[dict[str, Any]]:
    return answers[0].result if top_k == 1 else [one.result for one in answers]


def _answers(
    pairs: Sequence[tuple[str, str]], options: AnswerOptions, registry: Registry, model: LoadedModel, lane: Lane
) -> list[tuple[Answer, ...]]:
    questions, contexts = [question for question, _ in pairs], [context for _, context in pairs]
    cut = Cut(min(options.max_seq_len, model.max_length), options.doc_stride)
    _check_questions(model, questions, cut.size // 2)
    parts = windows(model, contexts, cut, questions)
    logits = iter(forward(registry, model, [part.encoded for one in parts for part in one], read_span_logits, lane))
    blank = model.tokenizer.cls_token_id
    return [
        _best([_read(context, part, next(logits), blank, options) for part in one], options)
        for context, one in zip(contexts, parts, strict=True)
    ]


def _check_questions(model: LoadedModel, questions: Sequence[str], limit: int) -> None:
    """Raise InvalidInput for a question that takes more than half of a window, in tokens."""
    different = list(dict.fromkeys(questions))
    if not different:
        return
    encoded = tokenize(model, different, truncation=False, add_special_tokens=False)
    longest = max(len(ids) for ids in encoded["input_ids"])
    if longest > limit:
        raise InvalidInput("error.question_too_long", length=longest, limit=limit)


@dataclass(frozen=True)
class _Reading:
    """What one window says: its answers by their words, and the score of there being none."""

    answers: dict[str, Answer]
    nothing: float


def _read(context: str, window: Window, logits: torch.Tensor, blank: int | None, options: AnswerOptions) -> _Reading:
    """Score the spans of one window from its (length, 2) logits of beginning and ending.

    In numpy: only the compute thread may start torch's own threads, and for numbers so few they cost most of the time.
    """
    tokens = window.tokens
    nowhere = [place for place, token in enumerate(window.encoded.ids) if token == blank and place not in tokens][:1]
    chances = _softmax(logits.numpy()[[*nowhere, *tokens]])
    nothing = float(chances[0].prod()) if nowhere else 0.0
    answers: dict[str, Answer] = {}
    for first, last, score in _spans(chances[len(nowhere) :], options):
        start, _ = _characters(window, tokens[first], options)
        _, end = _characters(window, tokens[last], options)
        found = _trimmed(context, start, end, score)
        same = answers.get(found.answer.lower())
        if same:
            answers[found.answer.lower()] = replace(same, score=same.score + score)
        elif found.answer:
            answers[found.answer.lower()] = found
    return _Reading(answers, nothing)


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Normalise each column of (length, 2) on its own."""
    import numpy as np

    powers = np.exp(logits - logits.max(axis=0, initial=-np.inf))
    shares: np.ndarray = powers / powers.sum(axis=0)
    return shares


def _spans(chances: np.ndarray, options: AnswerOptions) -> Iterator[tuple[int, int, float]]:
    """Yield (first token, last token, score) of the likeliest spans that are not too long, the best first.

    More than asked for, as the old pipeline did: several of them may be the same words.
    """
    import numpy as np

    length = min(options.max_answer_length, len(chances))
    if not length:
        return
    # (first, more): the span that begins at `first` and has so many more tokens; -1 lies beyond the window
    ends = np.concatenate([chances[:, 1], np.full(length - 1, -1, chances.dtype)])
    ends = np.lib.stride_tricks.sliding_window_view(ends, length)
    scores = np.where(ends < 0, -1, chances[:, :1] * ends).ravel()
    wanted = options.top_k * 2 + 10 if options.align_to_words else options.top_k
    for place in np.argsort(-scores, kind="stable")[:wanted].tolist():
        if scores[place] >= 0:
            first, more = divmod(place, length)
            yield first, first + more, float(scores[place])


def _characters(window: Window, place: int, options: AnswerOptions) -> tuple[int, int]:
    """Return the characters of a token, or of its whole word (as far as the window holds it)."""
    word = window.words[place]
    if word is None or not options.align_to_words:
        return window.offsets[place]
    first = last = place
    while first - 1 in window.tokens and window.words[first - 1] == word:
        first -= 1
    while last + 1 in window.tokens and window.words[last + 1] == word:
        last += 1
    return window.offsets[first][0], window.offsets[last][1]


def _trimmed(context: str, start: int, end: int, score: float) -> Answer:
    """Cut the answer out of the context, without white space at its ends."""
    found = context[start:end]
    start += len(found) - len(found.lstrip())
    found = found.strip()
    return Answer(found, score, start, start + len(found))


def _best(readings: Sequence[_Reading], options: AnswerOptions) -> tuple[Answer, ...]:
    """Merge the windows: each answer with its best score, none twice; "" only as sure as the least sure window."""
    best: dict[str, Answer] = {}
    for reading in readings:
        for key, found in reading.answers.items():
            if key not in best or found.score > best[key].score:
                best[key] = found
    answers = list(best.values())
    if options.handle_impossible_answer:
        nothing = min((reading.nothing for reading in readings), default=math.inf)
        answers.append(replace(NO_ANSWER, score=min(nothing, 1.0)))
    answers.sort(key=lambda one: one.score, reverse=True)
    return tuple(answers[: options.top_k]) or (NO_ANSWER,)
