"""How each text task works on a row of a table: what it runs, which columns it adds, what its chart counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.fields import number, text
from core.models.loading import LoadedModel
from core.tasks.text.feature_extraction import FeatureExtractionSettings, extract_features_of_texts
from core.tasks.text.fill_mask import FillMaskSettings, fill_masks_of_texts
from core.tasks.text.options import ModelOptions
from core.tasks.text.pooling import as_encoder
from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_in_texts
from core.tasks.text.summarization import SummarizationSettings, summarize_texts, unread
from core.tasks.text.text_classification import TextClassificationSettings, classify_texts
from core.tasks.text.text_generation import TextGenerationSettings, continue_texts
from core.tasks.text.token_classification import TokenClassificationSettings, classify_tokens_of_texts
from core.tasks.text.translation import TranslationSettings, require_direction, translate_texts
from core.tasks.text.zero_shot_classification import ZeroShotClassificationSettings, classify_texts_zero_shot
from core.words import Sentence

UNUSED = "-"
"""The settings of a task want a text; the texts of the rows are passed beside them."""
DECIMALS = 6
"""Digits kept of a number in a vector: float32 has no more, and a file of vectors is large enough."""
TOGETHER = 256
"""Rows tokenised, sorted by length and computed together."""
WRITTEN = 32
"""Rows that are written together at most, so that the first of a table are seen within a minute or so."""


@dataclass(frozen=True, kw_only=True)
class RowOptions(ModelOptions):
    """What the tasks are asked of each row; 0 = the task's own."""

    labels: str = text(limit=5_000, optional=True)
    question: str = text(limit=1_000, optional=True)
    source_language: str = text(limit=40, optional=True)
    target_language: str = text(limit=40, optional=True)
    targets: str = text(limit=5_000, optional=True)
    sentences: int = number(3, low=1, high=20)
    min_length: int = number(0, low=0, high=500)
    max_length: int = number(0, low=0, high=500)
    max_new_tokens: int = number(0, low=0, high=1024)
    num_beams: int = number(0, low=0, high=16)


ASKED_BY: Mapping[str, tuple[str, ...]] = {
    "labels": ("zero-shot-classification",),
    "question": ("question-answering",),
    "source_language": ("translation",),
    "target_language": ("translation",),
    "targets": ("fill-mask",),
    "sentences": ("summarization",),
    "min_length": ("summarization",),
    "max_length": ("summarization",),
    "max_new_tokens": ("text-generation", "translation"),
    "num_beams": ("text-generation", "translation", "summarization"),
}
"""Which tasks ask for a field of RowOptions."""

Answer = Callable[..., Sequence[Any]]
"""(texts, row settings, registry, borrowed model, lane) → one pipeline result a text."""


@dataclass(frozen=True)
class RowTask:
    """One task in a table."""

    settings: Callable[[RowOptions], Any]
    """Returns the settings of one row's task; its text is UNUSED."""
    answer: Answer
    columns: tuple[str, ...]
    cells: Callable[[Any], dict[str, Any]]
    categories: Callable[[Any], Sequence[str]]
    longest: Callable[[LoadedModel], int] = lambda model: model.max_length
    """Tokens that it reads of a text, or of each sentence, at most."""
    together: int = TOGETHER
    """Rows worked on between two reports, and heard stops; what is written token by token is told of sooner."""
    check: Callable[[Any, LoadedModel], None] = lambda _, __: None
    """(settings of a row, model) → nothing; raises in words what would fail every row."""
    notes: Callable[[Any, LoadedModel], tuple[Sentence, ...]] = lambda _, __: ()
    """(settings of a row, model) → what holds for every row: settings that play no part."""


def _options(settings: RowOptions, *asked: str) -> dict[str, Any]:
    """Return model and wishes, and what was `asked` for besides; what is 0 stays the task's own."""
    told = {name: getattr(settings, name) for name in asked}
    return {
        "model": settings.model,
        **settings.wishes,
        **{name: value for name, value in told.items() if value},
    }


def _text_classification(row: RowOptions) -> TextClassificationSettings:
    return TextClassificationSettings(text=UNUSED, top_k=1, **_options(row))


def _zero_shot(row: RowOptions) -> ZeroShotClassificationSettings:
    return ZeroShotClassificationSettings(text=UNUSED, **_options(row, "labels"))


def _token_classification(row: RowOptions) -> TokenClassificationSettings:
    return TokenClassificationSettings(text=UNUSED, **_options(row))


def _question(row: RowOptions) -> QuestionAnsweringSettings:
    return QuestionAnsweringSettings(
        question=row.question, context=UNUSED, handle_impossible_answer=True, **_options(row)
    )


def _summarization(row: RowOptions) -> SummarizationSettings:
    asked = ("sentences", "min_length", "max_length", "num_beams")
    return SummarizationSettings(text=UNUSED, **_options(row, *asked))


def _fill_mask(row: RowOptions) -> FillMaskSettings:
    return FillMaskSettings(text=UNUSED, top_k=1, **_options(row, "targets"))


def _generation(row: RowOptions) -> TextGenerationSettings:
    """Always the best token, so that a table comes out the same again."""
    options = _options(row, "max_new_tokens", "num_beams")
    return TextGenerationSettings(prompt=UNUSED, do_sample=False, candidates=0, **options)


def _translation(row: RowOptions) -> TranslationSettings:
    asked = ("source_language", "target_language", "max_new_tokens", "num_beams")
    return TranslationSettings(text=UNUSED, **_options(row, *asked))


def _feature_extraction(row: RowOptions) -> FeatureExtractionSettings:
    return FeatureExtractionSettings(text=UNUSED, **_options(row))


def _embed(texts: Sequence[str], *rest: Any) -> Sequence[Any]:
    vectors = extract_features_of_texts(texts, *rest)
    return [[round(value, DECIMALS) for value in vector] for vector in vectors]


def _best_label(result: list[dict[str, Any]]) -> dict[str, Any]:
    return {"label": result[0]["label"], "score": round(result[0]["score"], 6)}


def _first_label(result: dict[str, Any]) -> dict[str, Any]:
    return {"label": result["labels"][0], "score": round(result["scores"][0], 6)}


def _entities(result: list[dict[str, Any]]) -> dict[str, Any]:
    return {"entities": json.dumps(result, ensure_ascii=False)}


def _summary(result: list[dict[str, str]]) -> dict[str, Any]:
    return {"summary": result[0]["summary_text"]}


def _likeliest(result: list[Any]) -> list[dict[str, Any]]:
    """Return the first candidate of each gap: one gap's result is its candidates, several gaps' a list of those."""
    return [mask[0] for mask in result] if isinstance(result[0], list) else [result[0]]


def _words(result: list[Any]) -> list[str]:
    return [str(one["token_str"]).strip() for one in _likeliest(result)]


def _filled(result: list[Any]) -> dict[str, Any]:
    """Write the words of all gaps, and the product of their scores."""
    score = math.prod(one["score"] for one in _likeliest(result))
    return {"word": ", ".join(_words(result)), "score": round(score, 6)}


def _translated(result: list[dict[str, str]]) -> dict[str, Any]:
    return {"translation": result[0]["translation_text"]}


def _continued(result: list[dict[str, str]]) -> dict[str, Any]:
    return {"generated_text": result[0]["generated_text"]}


def _nothing_to_count(_: Any) -> Sequence[str]:
    return ()


def _answer_cells(result: dict[str, Any]) -> dict[str, Any]:
    return {"answer": result["answer"], "score": round(result["score"], 6)}


def _entity_types(result: list[dict[str, Any]]) -> Sequence[str]:
    return [entity["entity_group"] for entity in result]


def _answered(result: dict[str, Any]) -> Sequence[str]:
    return ["answered" if result["answer"] else "no answer"]


def _longest_of_encoder(model: LoadedModel) -> int:
    return as_encoder(model).max_length


ROW_TASKS: Mapping[str, RowTask] = {
    "text-classification": RowTask(
        _text_classification, classify_texts, ("label", "score"), _best_label, lambda result: [result[0]["label"]]
    ),
    "zero-shot-classification": RowTask(
        _zero_shot, classify_texts_zero_shot, ("label", "score"), _first_label, lambda result: [result["labels"][0]]
    ),
    "token-classification": RowTask(
        _token_classification, classify_tokens_of_texts, ("entities",), _entities, _entity_types
    ),
    "question-answering": RowTask(_question, answer_in_texts, ("answer", "score"), _answer_cells, _answered),
    "summarization": RowTask(
        _summarization,
        summarize_texts,
        ("summary",),
        _summary,
        _nothing_to_count,
        _longest_of_encoder,
        WRITTEN,
        notes=unread,
    ),
    "text-generation": RowTask(
        _generation, continue_texts, ("generated_text",), _continued, _nothing_to_count, together=WRITTEN
    ),
    "translation": RowTask(
        _translation,
        translate_texts,
        ("translation",),
        _translated,
        _nothing_to_count,
        together=WRITTEN,
        check=require_direction,
    ),
    "fill-mask": RowTask(_fill_mask, fill_masks_of_texts, ("word", "score"), _filled, _words),
    "feature-extraction": RowTask(
        _feature_extraction,
        _embed,
        ("vector",),
        lambda result: {"vector": result},
        _nothing_to_count,
        _longest_of_encoder,
    ),
}
