"""Answers against answers: SQuAD v1 and v2 as the official scripts count them, and exact match."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.evaluation.columns import texts
from core.evaluation.metric import Outcome, Recipe, Rows
from core.evaluation.metrics.classification import none_right
from core.words import Sentence, say

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_DIGITS = str.maketrans("", "", string.digits)


@dataclass(frozen=True)
class AnswerlessOptions:
    """Keywords of evaluate's squad_v2."""

    no_answer_threshold: float = 1.0


@dataclass(frozen=True)
class ExactOptions:
    """Keywords of evaluate's exact_match."""

    regexes_to_ignore: Sequence[str] | None = None
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False


@dataclass(frozen=True)
class _Question:
    """One question: what was answered, what may be, and how sure the model is that there is no answer."""

    id: str
    predicted: str
    answers: tuple[str, ...]
    no_answer: float = 0.0

    @property
    def has_answer(self) -> bool:
        """Tell whether there is anything to find."""
        return bool(self.answers)


def normalized(text: str) -> str:
    """Lower a text and leave out punctuation, articles and spare spaces, as the official scripts do."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def token_f1(prediction: str, answer: str) -> float:
    """Return the F1 of two normalised answers' words, 0 to 1; 0 where either has none."""
    predicted, expected = normalized(prediction).split(), normalized(answer).split()
    common = (Counter(predicted) & Counter(expected)).total()
    return 2 * common / (len(predicted) + len(expected)) if common else 0.0


def _same(prediction: str, answer: str) -> float:
    return float(normalized(prediction) == normalized(answer))


def _squad(rows: Rows, _: Any) -> Outcome:
    questions = _questions(rows, "squad")
    for question in questions:
        if not question.has_answer:
            raise InvalidInput("error.metric_no_answers", id=question.id)
    exact = [max(_same(one.predicted, answer) for answer in one.answers) for one in questions]
    overlap = [max(token_f1(one.predicted, answer) for answer in one.answers) for one in questions]
    return Outcome({"exact_match": _percent(exact), "f1": _percent(overlap)}, _why_zero("squad", exact, questions))


def _squad_v2(rows: Rows, options: AnswerlessOptions) -> Outcome:
    questions = _questions(rows, "squad_v2")
    raw_exact = [_exact_or_silent(one) for one in questions]
    raw_f1 = [_f1_or_silent(one) for one in questions]
    exact, overlap = (_with_threshold(raw, questions, options.no_answer_threshold) for raw in (raw_exact, raw_f1))
    values: dict[str, Any] = {"exact": _percent(exact), "f1": _percent(overlap), "total": len(questions)}
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        places = [place for place, one in enumerate(questions) if one.has_answer is wanted]
        if places:
            values[f"{prefix}_exact"] = _percent([exact[place] for place in places])
            values[f"{prefix}_f1"] = _percent([overlap[place] for place in places])
            values[f"{prefix}_total"] = len(places)
    for key, raw in (("exact", raw_exact), ("f1", raw_f1)):
        values[f"best_{key}"], values[f"best_{key}_thresh"] = _best_threshold(raw, questions)
    return Outcome(values, _why_zero("squad_v2", exact, questions))


def _exact_or_silent(question: _Question) -> float:
    return max(_same(question.predicted, answer) for answer in _worth(question))


def _f1_or_silent(question: _Question) -> float:
    scores = []
    for answer in _worth(question):
        silent = not normalized(answer) or not normalized(question.predicted)
        scores.append(_same(question.predicted, answer) if silent else token_f1(question.predicted, answer))
    return max(scores)


def _worth(question: _Question) -> list[str]:
    """Return the answers that say something; where none does, the right answer is silence."""
    return [answer for answer in question.answers if normalized(answer)] or [""]


def _with_threshold(raw: list[float], questions: list[_Question], threshold: float) -> list[float]:
    return [
        float(not one.has_answer) if one.no_answer > threshold else score
        for score, one in zip(raw, questions, strict=True)
    ]


def _best_threshold(raw: list[float], questions: list[_Question]) -> tuple[float, float]:
    """Return the best score in percent over all thresholds of silence, and the threshold that gives it."""
    score = best = float(sum(not one.has_answer for one in questions))
    threshold = 0.0
    for place in sorted(range(len(questions)), key=lambda place: questions[place].no_answer):
        one = questions[place]
        score += raw[place] if one.has_answer else -float(bool(one.predicted))
        if score > best:
            best, threshold = score, one.no_answer
    return 100.0 * best / len(questions), threshold


def _questions(rows: Rows, name: str) -> list[_Question]:
    predictions = _by_id(_dictionaries(rows.predictions, "predictions", "prediction_text"), "predictions")
    needs_doubt = name == "squad_v2"
    questions = []
    for reference in _by_id(_dictionaries(rows.references, "references", "answers"), "references").values():
        found = predictions.get(str(reference["id"]))
        if found is None:
            raise InvalidInput("error.metric_unanswered", name=name, id=reference["id"])
        if needs_doubt and "no_answer_probability" not in found:
            raise InvalidInput("error.metric_no_key", column="predictions", row=1, key="no_answer_probability")
        doubt = float(found["no_answer_probability"]) if needs_doubt else 0.0
        answers = _answer_texts(reference["answers"])
        questions.append(_Question(str(reference["id"]), str(found["prediction_text"]), answers, doubt))
    return questions


def _by_id(dictionaries: Iterable[Mapping[str, Any]], column: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for one in dictionaries:
        if str(one["id"]) in found:
            raise InvalidInput("error.metric_duplicate", column=column, id=one["id"])
        found[str(one["id"])] = one
    return found


def _answer_texts(answers: Any) -> tuple[str, ...]:
    """Read answers in the columns of the data set, or as a list of dictionaries; InvalidInput for anything else."""
    try:
        if isinstance(answers, Mapping):
            return tuple(map(str, answers["text"]))
        return tuple(str(one["text"]) for one in answers)
    except (TypeError, KeyError) as problem:
        raise InvalidInput("error.metric_answers", value=str(answers)[:50]) from problem


def _dictionaries(column: Iterable[Any], name: str, key: str) -> list[Mapping[str, Any]]:
    values = list(column)
    for row, value in enumerate(values, 1):
        for wanted in ("id", key):
            if not isinstance(value, Mapping) or value.get(wanted) is None:
                raise InvalidInput("error.metric_no_key", column=name, row=row, key=wanted)
    return values


def _percent(scores: Sequence[float]) -> float:
    return 100.0 * sum(scores) / len(scores)


def _why_zero(name: str, exact: Sequence[float], questions: Sequence[_Question]) -> list[Sentence]:
    notes = []
    if not any(exact):
        first = next((one for one in questions if one.answers), questions[0])
        notes.append(none_right(name, [first.predicted], [*first.answers[:1], ""][:1] * len(questions)))
    silent = sum(not one.predicted.strip() and one.has_answer for one in questions)
    return [*notes, say("reason.metric_empty_predictions", count=silent, rows=len(questions))] if silent else notes


def _exact_match(rows: Rows, options: ExactOptions) -> Outcome:
    given = texts(rows.predictions, "predictions"), texts(rows.references, "references")
    predictions, references = ([_stripped(text, options) for text in column] for column in given)
    right = sum(map(str.__eq__, predictions, references))
    notes = [] if right else [none_right("exact_match", predictions, references)]
    return Outcome({"exact_match": right / len(references)}, notes)


def _stripped(text: str, options: ExactOptions) -> str:
    for pattern in options.regexes_to_ignore or ():
        text = re.sub(pattern, "", text)
    text = text.lower() if options.ignore_case else text
    text = text.translate(_NO_PUNCTUATION) if options.ignore_punctuation else text
    return text.translate(_NO_DIGITS) if options.ignore_numbers else text


RECIPES = (
    Recipe("squad", "", "SQuAD evaluate-v1.1.py", _squad),
    Recipe("squad_v2", "", "SQuAD evaluate-v2.0.py", _squad_v2, AnswerlessOptions),
    Recipe("exact_match", "", "str.__eq__", _exact_match, ExactOptions),
)
"""The metrics of this file."""
