"""Texts alike in meaning: BERTScore (Zhang et al. 2020) with an embedding model of the registry."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InvalidInput
from core.evaluation.columns import empty_rows, references_of, texts
from core.evaluation.lending import lent
from core.evaluation.metric import Outcome, Recipe, Rows
from core.models.loading import LoadedModel
from core.tasks.text.encoder import INTERACTIVE, Encoded, encode, forward
from core.tasks.text.pooling import as_encoder
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

    from core.models.registry import Registry

STARTER = "starter/embeddings"


@dataclass(frozen=True)
class BertScoreOptions:
    """Keywords of evaluate's bertscore; without model_type it is the embedding starter, whatever the language."""

    lang: str | None = None
    model_type: str | None = None
    num_layers: int | None = None
    verbose: bool = False
    idf: bool = False
    device: str | None = None
    batch_size: int = 64
    nthreads: int = 4
    all_layers: bool = False
    rescale_with_baseline: bool = False
    baseline_path: str | None = None
    use_fast_tokenizer: bool = False


@dataclass(frozen=True)
class _Text:
    """One text as the model sees it: unit vectors (tokens, hidden) and what each token weighs (tokens,)."""

    vectors: torch.Tensor
    weights: torch.Tensor

    @property
    def empty(self) -> bool:
        """Tell whether no token counts."""
        return not bool(self.weights.sum())


def _bertscore(rows: Rows, options: BertScoreOptions) -> Outcome:
    _refuse_unoffered(options)
    predictions, references = texts(rows.predictions, "predictions"), references_of(rows.references)
    flat = [text for several in references for text in several]
    name = options.model_type or STARTER
    with lent(rows, name, "feature-extraction", [*predictions, *flat], options.device) as (registry, borrowed):
        model = as_encoder(borrowed)
        layer = _layer(model, options.num_layers)
        encoded = encode(model, [*predictions, *flat])
        weights = _weights(model, encoded[len(predictions) :], len(flat)) if options.idf else None
        read = _texts(registry, model, encoded, layer, weights)
        revision = model.files.revision
        used = {"provenance": model.provenance(0.0).as_dict(), "model_type": name, "num_layers": layer}
    expected = iter(read[len(predictions) :])
    scores = [
        _best([_match(one, next(expected)) for _ in several])
        for one, several in zip(read[: len(predictions)], references, strict=True)
    ]
    values = {key: [score[place] for score in scores] for place, key in enumerate(("precision", "recall", "f1"))}
    hashcode = f"{name}@{revision}_L{layer}_{'idf' if options.idf else 'no-idf'}"
    return Outcome({**values, "hashcode": hashcode}, _notes(predictions), used=used)


def _refuse_unoffered(options: BertScoreOptions) -> None:
    for name in ("all_layers", "rescale_with_baseline", "baseline_path"):
        if getattr(options, name):
            raise InvalidInput("error.metric_not_offered", name="bertscore", option=name)


def _layer(model: LoadedModel, wanted: int | None) -> int:
    layers = int(model.model.config.num_hidden_layers)
    if wanted is not None and not 0 <= wanted <= layers:
        raise InvalidInput("error.number_outside", name="num_layers", value=wanted, low=0, high=layers)
    return layers if wanted is None else wanted


def _texts(
    registry: Registry,
    model: LoadedModel,
    encoded: Sequence[Encoded],
    layer: int,
    weights: Mapping[int, float] | None,
) -> list[_Text]:
    import torch

    def ask(loaded: LoadedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        states: torch.Tensor = loaded.model(**inputs, output_hidden_states=True).hidden_states[layer]
        return torch.nn.functional.normalize(states.float(), dim=-1)

    def read(states: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        return [row[kept].cpu() for row, kept in zip(states, mask.bool(), strict=True)]

    special = set(model.tokenizer.all_special_ids)
    vectors = forward(registry, model, encoded, read, INTERACTIVE, ask)
    return [
        _Text(one, torch.tensor([_weight(id_, special, weights) for id_ in text.ids]))
        for one, text in zip(vectors, encoded, strict=True)
    ]


def _weight(token: int, special: set[int], weights: Mapping[int, float] | None) -> float:
    if token in special:
        return 0.0
    return 1.0 if weights is None else weights[token]


def _weights(model: LoadedModel, references: Sequence[Encoded], count: int) -> Mapping[int, float]:
    """Return how rare each token is among the references: log((count + 1) / (texts with it + 1))."""
    found = Counter(token for one in references for token in set(one.ids))
    known = range(len(model.tokenizer))
    return {token: math.log((count + 1) / (found[token] + 1)) for token in known}


def _match(predicted: _Text, expected: _Text) -> tuple[float, float, float]:
    """Return precision, recall and F1 of the nearest tokens by cosine; special tokens weigh nothing."""
    if predicted.empty or expected.empty:
        return 0.0, 0.0, 0.0
    near = predicted.vectors @ expected.vectors.T
    precision = float((near.max(dim=1).values * predicted.weights).sum() / predicted.weights.sum())
    recall = float((near.max(dim=0).values * expected.weights).sum() / expected.weights.sum())
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def _best(scores: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Take the best of several references, for each of the three, as bert_score does."""
    precisions, recalls, f1s = zip(*scores, strict=True)
    return max(precisions), max(recalls), max(f1s)


def _notes(predictions: Sequence[str]) -> list[Sentence]:
    empty = empty_rows(predictions)
    return [say("reason.metric_empty_predictions", count=empty, rows=len(predictions))] if empty else []


RECIPES = (Recipe("bertscore", "transformers", "cosine of hidden states", _bertscore, BertScoreOptions),)
"""The metrics of this file."""
