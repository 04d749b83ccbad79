"""What is measured at each evaluation of a training: the task's own metrics, by core.evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.loading import load
from core.training.data.prepared import IGNORED, Prepared, Row
from core.training.ordering import LongestFirst

LONGEST_ANSWER = 30
"""Tokens; as the official SQuAD baselines cut."""
MOST_STARTS = 20
"""Starts and ends of an answer that are tried against each other."""


@dataclass(frozen=True)
class Scoring:
    """For Trainer: how answers are measured, and what of the logits is kept for that."""

    compute: Callable[[Any], dict[str, float]] | None = None
    preprocess: Callable[[Any, Any], Any] | None = None


def scoring_for(prepared: Prepared, tokenizer: Any, rows: Sequence[Row]) -> Scoring:
    """Return how a task is measured; `rows`: the validation rows under their canonical columns.

    Tasks whose metrics follow from the loss, and those that TRL measures itself, have none.
    """
    if prepared.task == "text-classification":
        return Scoring(_classes, _most_likely)
    if prepared.task == "token-classification":
        return Scoring(_Tags(prepared.labels), _most_likely)
    if prepared.task == "question-answering":
        return Scoring(_Answers(prepared, rows), _starts_and_ends)
    if prepared.task == "translation":
        return Scoring(_Texts(tokenizer, _translated))
    if prepared.task == "summarization":
        return Scoring(_Texts(tokenizer, _summarised))
    return Scoring()


def _most_likely(logits: Any, _: Any) -> Any:
    """Keep each place's class alone: all classes of all tokens of all rows take memory for nothing."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)


def _starts_and_ends(logits: Any, _: Any) -> Any:
    return logits[:2]


def _classes(found: Any) -> dict[str, float]:
    predictions, references = found.predictions, found.label_ids
    each = {"predictions": predictions, "references": references}
    return {**load("accuracy").compute(**each), **load("f1").compute(**each, average="macro")}


@dataclass(frozen=True)
class _Tags:
    """Measures tagged words: of each word, the tag of its first token."""

    labels: tuple[str, ...]

    def __call__(self, found: Any) -> dict[str, float]:
        marked = found.label_ids != IGNORED
        predictions, references = (
            [[self.labels[one] for one in row[own]] for row, own in zip(rows, marked, strict=True)]
            for rows in (found.predictions, found.label_ids)
        )
        scores = load("seqeval").compute(predictions=predictions, references=references)
        return {name: float(scores[f"overall_{name}"]) for name in ("precision", "recall", "f1", "accuracy")}


@dataclass(frozen=True)
class _Texts:
    """Measures written texts against their references."""

    tokenizer: Any
    measure: Callable[[list[str], list[str]], Mapping[str, float]]

    def __call__(self, found: Any) -> dict[str, float]:
        return dict(self.measure(self._read(found.predictions), self._read(found.label_ids)))

    def _read(self, tokens: Any) -> list[str]:
        tokens = (tokens[0] if isinstance(tokens, tuple) else tokens).copy()
        tokens[tokens == IGNORED] = self.tokenizer.pad_token_id
        return [text.strip() for text in self.tokenizer.batch_decode(tokens, skip_special_tokens=True)]


def _translated(predictions: list[str], references: list[str]) -> Mapping[str, float]:
    each = {"predictions": predictions, "references": [[one] for one in references]}
    return {"sacrebleu": load("sacrebleu").compute(**each)["score"], "chrf": load("chrf").compute(**each)["score"]}


def _summarised(predictions: list[str], references: list[str]) -> Mapping[str, float]:
    scores = load("rouge").compute(predictions=predictions, references=references)
    return {name: float(scores[name]) for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")}


class _Answers:
    """Measures found answers: of all windows of a context, the likeliest span, or none."""

    def __init__(self, prepared: Prepared, rows: Sequence[Row]) -> None:
        """Keep which row each window belongs to, in the order in which they are evaluated."""
        windows = prepared.validation
        order = LongestFirst(windows["length"][:]).order
        offsets, owners = windows["offset_mapping"][:], windows["row"][:]
        self._offsets = [offsets[place] for place in order]
        self._owners = [owners[place] for place in order]
        self._rows = {row["row"]: row for row in rows}
        self._some_without = any(not row["answers"]["text"] for row in rows)

    def __call__(self, found: Any) -> dict[str, float]:
        """Return exact match and F1, by SQuAD v2 where some questions have no answer."""
        texts = self._texts(*found.predictions)
        rows = [self._rows[owner] for owner in texts]
        references = [{"id": str(row["row"]), "answers": row["answers"]} for row in rows]
        predictions = [{"id": str(owner), "prediction_text": text} for owner, text in texts.items()]
        if not self._some_without:
            scores = load("squad").compute(predictions=predictions, references=references)
            return {"exact_match": scores["exact_match"], "f1": scores["f1"]}
        sure = [{**one, "no_answer_probability": float(not one["prediction_text"])} for one in predictions]
        scores = load("squad_v2").compute(predictions=sure, references=references)
        return {"exact_match": scores["exact"], "f1": scores["f1"]}

    def _texts(self, starts: Any, ends: Any) -> dict[int, str]:
        """Return each row's answer: the best of its windows."""
        best: dict[int, tuple[float, str]] = {}
        for owner, offsets, start, end in zip(self._owners, self._offsets, starts, ends, strict=True):
            scored = best_span(offsets, start, end, self._rows[owner]["context"], empty=self._some_without)
            if owner not in best or scored[0] > best[owner][0]:
                best[owner] = scored
        return {owner: text for owner, (_, text) in best.items()}


def best_span(
    offsets: Sequence[Sequence[int] | None], start: Any, end: Any, context: str, *, empty: bool
) -> tuple[float, str]:
    """Return the score and text of the likeliest answer in one window; "" only where `empty` answers are allowed.

    The score is what speaks for the span beyond what speaks for no answer at all, so that windows can be compared.
    """
    inside = [place for place, pair in enumerate(offsets) if pair]
    outside = [place for place, pair in enumerate(offsets) if not pair]
    nothing = max((float(start[place] + end[place]) for place in outside), default=0.0)
    starts = sorted(inside, key=lambda place: -start[place])[:MOST_STARTS]
    ends = sorted(inside, key=lambda place: -end[place])[:MOST_STARTS]
    spans = [(float(start[a] + end[b]) - nothing, a, b) for a in starts for b in ends if 0 <= b - a < LONGEST_ANSWER]
    if not spans:
        return float("-inf"), ""
    score, first, last = max(spans)
    if empty and score < 0:
        return score, ""
    return score, context[offsets[first][0] : offsets[last][1]]  # type: ignore[index]
