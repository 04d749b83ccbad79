"""Which label fits this text: sentiment, topic, emotion, whatever the model was fine-tuned for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.fields import choice, number, text
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane, borrow, cut_notes, encode, forward, read_logits, with_notes
from core.tasks.text.label_score import LabelScore
from core.tasks.text.options import ModelOptions
from core.tasks.text.taught import script_notes
from core.words import Sentence

if TYPE_CHECKING:
    import torch

TASK = "text-classification"


@dataclass(frozen=True, kw_only=True)
class TextClassificationSettings(ModelOptions):
    """One text to label."""

    text: str = text(limit=LIMITS.text_characters)
    top_k: int = number(5, low=1, high=100)
    function_to_apply: str = choice("default", ("default", "softmax", "sigmoid", "none"))


@dataclass(frozen=True)
class TextClassification:
    """Labels, the most likely first."""

    scores: tuple[LabelScore, ...]
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> list[dict[str, Any]]:
        """The same as the transformers pipeline returns: [{label, score}]."""
        return [{"label": one.label, "score": one.score} for one in self.scores]


def classify_text(
    settings: TextClassificationSettings, registry: Registry, lane: Lane = INTERACTIVE
) -> TextClassification:
    """Label one text; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    with borrow(registry, settings.spec(registry, TASK), [settings.text], lane) as model:
        encoded = encode(model, [settings.text])
        scores = _scores(registry, model, encoded, settings, lane)[0]
        notes = (*cut_notes(model, encoded), *script_notes(model, settings.text))
        provenance = model.provenance(time.perf_counter() - started)
    return TextClassification(scores, with_notes(provenance, notes), notes)


def classify_texts(
    texts: Sequence[str],
    settings: TextClassificationSettings,
    registry: Registry,
    model: LoadedModel,
    lane: Lane,
    pairs: Sequence[str] | None = None,
) -> list[list[dict[str, Any]]]:
    """Label many texts, or `pairs` of two, with a borrowed model: one pipeline result a text, in order."""
    encoded = encode(model, texts, pairs)
    lane.tell_cut(model, encoded)
    rows = _scores(registry, model, encoded, settings, lane)
    return [[{"label": one.label, "score": one.score} for one in row] for row in rows]


def _scores(
    registry: Registry, model: LoadedModel, encoded: Sequence[Any], settings: TextClassificationSettings, lane: Lane
) -> list[tuple[LabelScore, ...]]:
    import torch

    logits = forward(registry, model, encoded, read_logits, lane)
    if not logits:
        return []
    table = _probabilities(torch.stack(logits), model.model.config, settings.function_to_apply)
    best = table.sort(dim=-1, descending=True)
    labels = model.model.config.id2label
    return [
        tuple(LabelScore(labels[place], score) for place, score in zip(places, scores, strict=True))[: settings.top_k]
        for places, scores in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _probabilities(logits: torch.Tensor, config: Any, function: str) -> torch.Tensor:
    """Turn logits (texts, labels) into scores; "default" follows the rules of the transformers pipeline."""
    if function == "default":
        multi = getattr(config, "problem_type", None) == "multi_label_classification" or config.num_labels == 1
        regression = getattr(config, "problem_type", None) == "regression"
        function = "none" if regression else "sigmoid" if multi else "softmax"
    if function == "none":
        return logits
    return logits.sigmoid() if function == "sigmoid" else logits.softmax(-1)
