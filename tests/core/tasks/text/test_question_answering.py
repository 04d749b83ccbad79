"""Question answering equals a slow reference, points exactly into the context, and refuses in words."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from core.errors import InvalidInput, WrongTask
from core.models.registry import Registry
from core.tasks.text.encoder import INTERACTIVE
from core.tasks.text.question_answering import (
    TASK,
    AnswerOptions,
    QuestionAnsweringSettings,
    QuestionSettings,
    answer_in_texts,
    answer_question,
    answer_questions,
)
from core.tasks.text.windows import Cut, windows
from tests.core.tasks.text.conftest import Borrow, MakeModel

QUESTION = "where lives ada ?"
CONTEXTS = (
    "Ada Lovelace lives in London.",
    "👩‍👩‍👧 Ada 🦜🦜 loves 倫敦的電影 , not München!\n\tسلام لندن and 런던의 영화 is good",
    "Ada lives in London , not Paris . London it is , says the actor who hates London . " * 8,
    "x",
)


def asked(model: str, **values: Any) -> QuestionAnsweringSettings:
    """Return settings for a local model in float32, whatever the machine would choose."""
    given = {"question": QUESTION, "context": CONTEXTS[0], "model": model, "dtype": "float32", **values}
    return QuestionAnsweringSettings(**given)


def options(model: str, **values: Any) -> AnswerOptions:
    """Return options for a local model in float32, without a question."""
    return AnswerOptions(model=model, dtype="float32", **values)


def close(ours: Any, theirs: Any) -> bool:
    """Tell whether two results are the same but for rounding in their scores."""
    if isinstance(ours, dict):
        ours, theirs = [ours], [theirs]
    assert [{**one, "score": 0} for one in ours] == [{**one, "score": 0} for one in theirs]
    return [one["score"] for one in ours] == pytest.approx([one["score"] for one in theirs], abs=1e-4)


def reference(settings: QuestionAnsweringSettings) -> list[dict[str, Any]]:
    """Answer slowly: every window alone, every span in turn, probabilities as written in the books."""
    tokenizer = AutoTokenizer.from_pretrained(settings.model)
    model = AutoModelForQuestionAnswering.from_pretrained(settings.model).eval()
    read = tokenizer(
        settings.question,
        settings.context,
        truncation="only_second",
        max_length=min(settings.max_seq_len, 128),
        stride=settings.doc_stride,
        return_overflowing_tokens=True,
        padding=False,
    )
    best: dict[str, dict[str, Any]] = {}
    nothing = []
    for number, encoding in enumerate(read.encodings):
        with torch.no_grad():
            output = model(torch.tensor([read["input_ids"][number]]), token_type_ids=torch.tensor([encoding.type_ids]))
        own = [place for place, part in enumerate(encoding.sequence_ids) if part == 1]
        begin = _chances(output.start_logits[0].tolist(), [0, *own])
        end = _chances(output.end_logits[0].tolist(), [0, *own])
        nothing.append(begin[0] * end[0])
        spans = [
            (begin[first] * end[last], first, last)
            for first in own
            for last in own
            if 0 <= last - first < settings.max_answer_length
        ]
        spans.sort(key=lambda span: -span[0])
        count = settings.top_k * 2 + 10 if settings.align_to_words else settings.top_k
        for key, answer in _in_words(spans[:count], encoding, settings).items():
            if key not in best or best[key]["score"] < answer["score"]:
                best[key] = answer
    answers = list(best.values())
    if settings.handle_impossible_answer:
        answers.append({"score": min(nothing), "start": 0, "end": 0, "answer": ""})
    return sorted(answers, key=lambda answer: -answer["score"])[: settings.top_k]


def _chances(logits: list[float], allowed: list[int]) -> dict[int, float]:
    total = sum(math.exp(logits[place]) for place in allowed)
    return {place: math.exp(logits[place]) / total for place in allowed}


def _in_words(spans: list[Any], encoding: Any, settings: QuestionAnsweringSettings) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for score, first, last in spans:
        start, end = encoding.offsets[first][0], encoding.offsets[last][1]
        if settings.align_to_words:
            start = encoding.word_to_chars(encoding.token_to_word(first), 1)[0]
            end = encoding.word_to_chars(encoding.token_to_word(last), 1)[1]
        answer = settings.context[start:end]
        if answer.lower() in found:
            found[answer.lower()]["score"] += score
        else:
            found[answer.lower()] = {"score": score, "start": start, "end": end, "answer": answer}
    return found


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"top_k": 5},
        {"top_k": 50, "max_answer_length": 3},
        {"handle_impossible_answer": True},
        {"handle_impossible_answer": True, "top_k": 8},
        {"align_to_words": False, "top_k": 4},
        {"max_seq_len": 48, "doc_stride": 10, "top_k": 6},
        {"max_seq_len": 64, "doc_stride": 0, "max_answer_length": 1},
        {"max_seq_len": 100, "doc_stride": 40, "top_k": 3, "handle_impossible_answer": True},
    ],
    ids=str,
)
def test_equals_a_slow_reference(registry: Registry, make_model: MakeModel, values: dict[str, Any]) -> None:
    """Answers, places, order and scores are those of a reference that tries every span of every window."""
    model = make_model("question-answering")
    for context in CONTEXTS:
        settings = asked(model, context=context, **{"doc_stride": 64, **values})
        ours = answer_question(settings, registry)
        theirs = reference(settings)
        assert close(ours.result, theirs if settings.top_k > 1 else theirs[0])


@pytest.mark.parametrize("byte_level", [False, True], ids=["wordpiece", "bytes"])
@pytest.mark.parametrize("align_to_words", [False, True])
def test_answers_are_cut_out_of_the_context(
    registry: Registry, make_model: MakeModel, byte_level: bool, align_to_words: bool
) -> None:
    """Every answer is context[start:end] in any script, without blanks at its ends, none twice, none above 1."""
    model = make_model("question-answering", byte_level=byte_level)
    for context in (*CONTEXTS, "  \n ada \n", "👩‍👩‍👧"):
        settings = asked(model, context=context, top_k=50, align_to_words=align_to_words, doc_stride=30)
        answers = answer_question(settings, registry).answers
        assert answers
        for one in answers:
            assert one.answer == context[one.start : one.end] == one.answer.strip() != ""
            assert 0 <= one.score <= 1
        assert len({one.answer.lower() for one in answers}) == len(answers)


def test_the_same_words_count_once(registry: Registry, make_model: MakeModel) -> None:
    """What overlapping windows both find keeps a probability's bounds; what repeats in the text is one answer."""
    model = make_model("question-answering", lexical=True)
    context = "london " * 60
    answers = answer_question(asked(model, context=context, top_k=3, max_answer_length=1, doc_stride=100), registry)
    assert [one.answer for one in answers.answers] == ["london"]
    assert 0 < answers.answers[0].score <= 1


def test_no_answer_is_an_answer(registry: Registry, make_model: MakeModel) -> None:
    """An answer that is not there is "" at 0 … 0, when asked for and likelier than any other; else never."""
    model = make_model("question-answering")
    kept = [
        answer_question(asked(model, context=context, top_k=50, handle_impossible_answer=True, doc_stride=64), registry)
        for context in CONTEXTS
    ]
    assert all(sum(one.answer == "" for one in answer.answers) <= 1 for answer in kept)
    empty = [one for answer in kept for one in answer.answers if one.answer == ""]
    assert empty
    assert all((one.start, one.end) == (0, 0) and one.score > 0 for one in empty)


@pytest.mark.parametrize("context", ["", " \n", "\u200d\u200b"])
def test_a_context_without_words_has_no_answer(
    registry: Registry, make_model: MakeModel, borrowed: Borrow, context: str
) -> None:
    """Where the context holds no token, the answer is "" with the score 0."""
    chosen = options(make_model("question-answering"), doc_stride=64)
    nothing = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    with borrowed(chosen, TASK) as model:
        assert answer_questions([(QUESTION, context)], chosen, registry, model, INTERACTIVE) == [nothing]
        several = replace(chosen, top_k=3)
        assert answer_questions([(QUESTION, context)], several, registry, model, INTERACTIVE) == [[nothing]]


def test_many_at_once_equal_one_by_one(registry: Registry, make_model: MakeModel, borrowed: Borrow) -> None:
    """Company changes nothing: pairs of any length together get the answers they get alone."""
    chosen = options(make_model("question-answering"), top_k=3, doc_stride=64)
    pairs = [(QUESTION, context) for context in CONTEXTS] + [("who ?", context) for context in CONTEXTS]
    alone = [
        answer_question(asked(chosen.model, question=question, context=context, top_k=3, doc_stride=64), registry)
        for question, context in pairs
    ]
    with borrowed(chosen, TASK) as model:
        together = answer_questions(pairs * 5, chosen, registry, model, INTERACTIVE)
        assert answer_questions([], chosen, registry, model, INTERACTIVE) == []
    for ours, theirs in zip(together, alone * 5, strict=True):
        assert close(ours, theirs.result)


def test_one_question_for_many_contexts(registry: Registry, make_model: MakeModel, borrowed: Borrow) -> None:
    """The question of the settings is put to every text; the settings need no context of their own."""
    settings = QuestionSettings(
        question=QUESTION, model=make_model("question-answering"), dtype="float32", doc_stride=64
    )
    with borrowed(settings, TASK) as model:
        ours = answer_in_texts(CONTEXTS, settings, registry, model, INTERACTIVE)
    for one, context in zip(ours, CONTEXTS, strict=True):
        assert close(one, answer_question(asked(settings.model, context=context, doc_stride=64), registry).result)


def test_a_model_padded_on_the_left_reads_the_context_first(make_model: MakeModel, borrowed: Borrow) -> None:
    """Where a tokenizer pads on the left, the question follows the context, and windows point into the context."""
    with borrowed(options(make_model("question-answering")), TASK) as model:
        model.tokenizer.padding_side = "left"
        try:
            parts = windows(model, [CONTEXTS[2]], Cut(64, 16), [QUESTION])[0]
        finally:
            model.tokenizer.padding_side = "right"
    assert len(parts) > 3
    for part in parts:
        assert part.tokens.start == 1
        question = model.tokenizer.decode(part.encoded.ids[part.tokens.stop :])
        assert question == "[SEP] where lives ada? [SEP]"
        first, last = part.offsets[part.tokens.start], part.offsets[part.tokens.stop - 1]
        assert CONTEXTS[2][first[0] : last[1]].strip()


def test_the_result_is_json(registry: Registry, make_model: MakeModel) -> None:
    """One answer is an object, several are a list; numbers are plain, and the provenance names the model."""
    model = make_model("question-answering")
    one = answer_question(asked(model), registry)
    assert list(json.loads(json.dumps(one.result))) == ["score", "start", "end", "answer"]
    assert isinstance(answer_question(asked(model, top_k=2), registry).result, list)
    assert one.provenance.model == model


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"question": ""}, "question: there is no text yet"),
        ({"question": "a" * 1001}, "1,001 characters; at most 1,000"),
        ({"context": " "}, "context: there is no text yet"),
        ({"context": "a" * 1_000_000}, "1,000,000 characters; at most 200,000"),
        ({"top_k": 0}, "between 1 and 50"),
        ({"doc_stride": 384}, "Choose a stride below 384"),
        ({"max_seq_len": 128}, "Choose a stride below 128"),
        ({"max_answer_length": 0}, "between 1 and 500"),
        ({"handle_impossible_answer": "yes"}, "must be true or false"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(values: dict[str, Any], said: str) -> None:
    """Each refusal is a sentence with the numbers."""
    with pytest.raises(InvalidInput, match=said):
        asked("any", **values)


def test_a_question_of_more_than_half_a_window_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A question that would push the context out is refused with the window's number."""
    model = make_model("question-answering")
    with pytest.raises(InvalidInput, match="The question has 65 tokens; at most 64"):
        answer_question(asked(model, question="who " * 65), registry)


def test_a_stride_that_fills_the_window_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A stride that leaves nothing new to read is refused once a context needs a second window, not before."""
    model = make_model("question-answering")
    assert answer_question(asked(model), registry).answers
    with pytest.raises(InvalidInput, match="Choose a stride below 121"):
        answer_question(asked(model, context=CONTEXTS[2]), registry)


def test_a_model_of_another_task_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A model without a head for spans is refused by its own name."""
    with pytest.raises(WrongTask, match="BertForTokenClassification"):
        answer_question(asked(make_model("token-classification")), registry)
