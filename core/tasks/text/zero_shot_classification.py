"""Which of these labels fits this text: labels that no training has seen, by asking what the text entails."""

from __future__ import annotations

import string
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core import fields
from core.errors import InvalidInput, WrongTask
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import LIMITS
from core.tasks.text.encoder import (
    INTERACTIVE,
    Encoded,
    Lane,
    borrow,
    cut_notes,
    encode,
    forward,
    read_logits,
    tokenize,
    with_notes,
)
from core.tasks.text.label_score import LabelScore
from core.tasks.text.options import ModelOptions
from core.tasks.text.taught import script_notes
from core.words import Sentence

if TYPE_CHECKING:
    import torch

TASK = "zero-shot-classification"
LABELS_CHARACTERS = 10_000
TEMPLATE_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class ZeroShotClassificationSettings(ModelOptions):
    """One text, the labels to choose from, and the sentence that each label completes."""

    text: str = fields.text(limit=LIMITS.text_characters)
    labels: str = fields.text(limit=LABELS_CHARACTERS, optional=True)
    multi_label: bool = False
    hypothesis_template: str = fields.text(limit=TEMPLATE_CHARACTERS, default="This example is about {}.")

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits, no label, too many labels, and a template that takes no label."""
        super().__post_init__()
        if not self.label_list:
            raise InvalidInput("error.no_labels", limit=LIMITS.labels)
        if len(self.label_list) > LIMITS.labels:
            raise InvalidInput("error.too_many_labels", count=len(self.label_list), limit=LIMITS.labels)
        fill(self.hypothesis_template, "")

    @property
    def label_list(self) -> tuple[str, ...]:
        """The labels in order: trimmed, none blank, none twice."""
        return tuple(dict.fromkeys(fields.comma_separated(self.labels)))

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """What the text may entail, one sentence a label."""
        return tuple(fill(self.hypothesis_template, label) for label in self.label_list)


@dataclass(frozen=True)
class ZeroShotClassification:
    """Labels, the best fitting first."""

    sequence: str
    scores: tuple[LabelScore, ...]
    provenance: Provenance
    notes: tuple[Sentence, ...] = ()

    @property
    def result(self) -> dict[str, Any]:
        """The same as the transformers pipeline returns: {sequence, labels, scores}."""
        return _result(self.sequence, self.scores)


def fill(template: str, label: str) -> str:
    """Put the label where {} stands, as str.format would; InvalidInput for any other field, or none."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as problem:
        raise InvalidInput("error.template_without_place", template=template) from problem
    # (literal text, field name, format spec, conversion): {} has three empty ones, no field at all has None
    places = [part[1:] for part in parts if part[1] is not None]
    if not places or any(place != ("", "", None) for place in places):
        raise InvalidInput("error.template_without_place", template=template)
    return "".join(literal + (label if field is not None else "") for literal, field, _, _ in parts)


def classify_zero_shot(
    settings: ZeroShotClassificationSettings, registry: Registry, lane: Lane = INTERACTIVE
) -> ZeroShotClassification:
    """Score each label for one text; raises InvalidInput, ModelError or HubError in words."""
    started = time.perf_counter()
    with borrow(
        registry, settings.spec(registry, TASK), [f"{settings.text} {one}" for one in settings.hypotheses], lane
    ) as model:
        encoded = _encode(model, [settings.text], settings.hypotheses)
        scores = _scores(registry, model, encoded, settings, lane)[0]
        notes = (*cut_notes(model, encoded), *script_notes(model, settings.text, *settings.hypotheses))
        provenance = model.provenance(time.perf_counter() - started)
    return ZeroShotClassification(settings.text, scores, with_notes(provenance, notes), notes)


def classify_texts_zero_shot(
    texts: Sequence[str], settings: ZeroShotClassificationSettings, registry: Registry, model: LoadedModel, lane: Lane
) -> list[dict[str, Any]]:
    """Score the labels of `settings` for many texts with a borrowed model: one pipeline result a text, in order."""
    encoded = _encode(model, texts, settings.hypotheses)
    lane.tell_cut(model, encoded, of_a_text=len(settings.hypotheses))
    rows = _scores(registry, model, encoded, settings, lane)
    return [_result(one, row) for one, row in zip(texts, rows, strict=True)]


def _result(sequence: str, scores: Sequence[LabelScore]) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "labels": [one.label for one in scores],
        "scores": [one.score for one in scores],
    }


def _encode(model: LoadedModel, texts: Sequence[str], hypotheses: Sequence[str]) -> list[Encoded]:
    """Pair every text with every hypothesis, text by text; where a pair is too long, the text is cut."""
    if not texts:
        return []
    _check_hypotheses(model, hypotheses)
    shortened = _shorten(model, texts)
    premises = [text for text, _ in shortened for _ in hypotheses]
    lengths = [length for _, length in shortened for _ in hypotheses]
    encoded = encode(model, premises, [*hypotheses] * len(texts), truncation="only_first")
    return [replace(one, length=max(one.length, length)) for one, length in zip(encoded, lengths, strict=True)]


def _check_hypotheses(model: LoadedModel, hypotheses: Sequence[str]) -> None:
    """Raise InvalidInput for a hypothesis that leaves no room for any of the text."""
    beside = model.tokenizer.num_special_tokens_to_add(pair=True)
    encoded = tokenize(model, hypotheses, truncation=False, add_special_tokens=False)
    for hypothesis, ids in zip(hypotheses, encoded["input_ids"], strict=True):
        if len(ids) + beside >= model.max_length:
            room = model.max_length - beside - 1
            raise InvalidInput("error.label_too_long", label=hypothesis[:60], length=len(ids), limit=room)


def _shorten(model: LoadedModel, texts: Sequence[str]) -> list[tuple[str, int]]:
    """Return each text and its length in tokens; a long one is cut to twice what the model can read.

    Every text is tokenized once for each label, so its unread end would cost most of the time. The margin keeps the
    tokens that are read the same as without the cut.
    """
    if not model.tokenizer.is_fast:
        return [(one, 0) for one in texts]
    whole = tokenize(model, texts, truncation=False, return_offsets_mapping=True)
    last = 2 * model.max_length
    return [
        (one[: offsets[last][1]] if len(offsets) > last + 1 else one, len(offsets))
        for one, offsets in zip(texts, whole["offset_mapping"], strict=True)
    ]


def _scores(
    registry: Registry,
    model: LoadedModel,
    encoded: Sequence[Encoded],
    settings: ZeroShotClassificationSettings,
    lane: Lane,
) -> list[tuple[LabelScore, ...]]:
    import torch

    entailment, contradiction = _entailment(model)
    if not encoded:
        return []
    labels = settings.label_list
    logits = torch.stack(forward(registry, model, encoded, read_logits, lane))[:, [contradiction, entailment]]
    rows = _probabilities(logits.view(-1, len(labels), 2), multi_label=settings.multi_label)
    return [_sorted(labels, row) for row in rows.tolist()]


def _entailment(model: LoadedModel) -> tuple[int, int]:
    """Return the places of entailment and of its opposite among the model's labels; raises WrongTask without one.

    Where no label is called contradiction, its place is guessed as the transformers pipeline does.
    """
    places = {label.lower(): place for label, place in model.model.config.label2id.items()}
    entailment = next((place for label, place in places.items() if label.startswith("entail")), None)
    if entailment is None:
        raise WrongTask("error.no_entailment", name=model.spec.name, labels=", ".join(model.model.config.label2id))
    usual = len(places) - 1 if entailment == 0 else 0
    return entailment, next((place for label, place in places.items() if label.startswith("contra")), usual)


def _probabilities(logits: torch.Tensor, *, multi_label: bool) -> torch.Tensor:
    """Turn (texts, labels, [contradiction, entailment]) into (texts, labels).

    Each label for itself, or all labels against each other; a single label has no other to be compared with.
    """
    if multi_label or logits.shape[1] == 1:
        return logits.softmax(-1)[..., 1]
    return logits[..., 1].softmax(-1)


def _sorted(labels: Sequence[str], scores: Sequence[float]) -> tuple[LabelScore, ...]:
    found = [LabelScore(label, score) for label, score in zip(labels, scores, strict=True)]
    return tuple(sorted(found, key=lambda one: one.score, reverse=True))
