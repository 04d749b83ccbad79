"""How well a language model expects texts: perplexity, and bits per byte, by a causal model of the registry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.columns import texts
from core.evaluation.lending import lent
from core.evaluation.losses import bits_per_byte, notes_of_loss, perplexity
from core.evaluation.metric import Outcome, Recipe, Rows
from core.models.loading import LoadedModel
from core.tasks.text.encoder import INTERACTIVE, Encoded, Lane, forward, tokenize
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

    from core.models.registry import Registry


@dataclass(frozen=True)
class LanguageOptions:
    """Keywords of evaluate's perplexity; batches are packed by tokens, whatever `batch_size` says."""

    model_id: str = "starter/stories"
    batch_size: int = 16
    add_start_token: bool = True
    device: str | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class Losses:
    """What a model made of the texts: for each its mean loss in nats, and the tokens and bytes that were scored."""

    means: list[float]
    tokens: list[int]
    sizes: list[int]
    notes: tuple[Sentence, ...] = ()
    used: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean over all tokens."""
        total = math.fsum(mean * count for mean, count in zip(self.means, self.tokens, strict=True))
        return total / sum(self.tokens)


def _perplexity(rows: Rows, options: LanguageOptions) -> Outcome:
    losses = _read(rows, options, "perplexity")
    values = [perplexity(loss) for loss in losses.means]
    mean = math.fsum(values) / len(values)
    return Outcome({"perplexities": values, "mean_perplexity": mean}, losses.notes, used=losses.used)


def _bits_per_byte(rows: Rows, options: LanguageOptions) -> Outcome:
    losses = _read(rows, options, "bits_per_byte")
    value = bits_per_byte(losses.mean, sum(losses.tokens), sum(losses.sizes))
    return Outcome({"bits_per_byte": value}, losses.notes, used=losses.used)


def _read(rows: Rows, options: LanguageOptions, name: str) -> Losses:
    given = texts(rows.predictions, "predictions")
    with lent(rows, options.model_id, "text-generation", given, options.device) as (registry, model):
        encoded = _encoded(model, given, options, name)
        found = _losses(given, encoded, options, Desk(registry, model))
        used = {"provenance": model.provenance(0.0).as_dict()}
    cut = sum(len(one.ids) < one.length for one in encoded)
    notes = [say("reason.metric_cut", count=cut, limit=max(len(one.ids) for one in encoded))] if cut else []
    worst = max(found.means, key=lambda mean: math.inf if math.isnan(mean) else mean)
    return replace(found, notes=(*notes, *notes_of_loss(worst)), used=used)


@dataclass(frozen=True)
class Desk:
    """Where texts are read: a borrowed model, and how the request travels."""

    registry: Registry
    model: LoadedModel
    lane: Lane = INTERACTIVE


def losses_of(given: Sequence[str], desk: Desk) -> Losses:
    """Return how well a borrowed model expects each text, behind its start token where it has one.

    Raises InvalidInput for a text of too few tokens; tells the lane which were longer than the model reads.
    """
    model = desk.model
    options = LanguageOptions(model.spec.name, add_start_token=model.tokenizer.bos_token_id is not None)
    encoded = _encoded(model, list(given), options, "perplexity")
    desk.lane.tell_cut(model, encoded)
    return _losses(given, encoded, options, desk)


def _losses(given: Sequence[str], encoded: Sequence[Encoded], options: LanguageOptions, desk: Desk) -> Losses:
    values = forward(desk.registry, desk.model, encoded, _each, desk.lane, ask=_mean_losses)
    sizes = [_scored_bytes(desk.model, text, one, options) for text, one in zip(given, encoded, strict=True)]
    return Losses([float(one) for one in values], [len(one.ids) - 1 for one in encoded], sizes)


def _encoded(model: LoadedModel, given: list[str], options: LanguageOptions, name: str) -> list[Encoded]:
    start = model.tokenizer.bos_token_id
    if options.add_start_token and start is None:
        raise InvalidInput("error.metric_no_start", name=name, model=options.model_id)
    before = (start,) if options.add_start_token else ()
    limit = min(options.max_length or model.max_length, model.max_length)
    found = []
    for row, ids in enumerate(tokenize(model, given, add_special_tokens=False)["input_ids"], 1):
        whole = (*before, *ids)
        if len(whole) < 2:  # noqa: PLR2004 - one token to read, one to expect
            raise InvalidInput("error.metric_too_few_tokens", name=name, row=row)
        found.append(Encoded(whole[:limit], (0,) * len(whole[:limit]), len(whole)))
    return found


def _scored_bytes(model: LoadedModel, text: str, encoded: Encoded, options: LanguageOptions) -> int:
    """Count the bytes of what carries loss: the whole text, unless it was cut or its first token has none."""
    if options.add_start_token and len(encoded.ids) == encoded.length:
        return len(text.encode())
    return len(model.tokenizer.decode(encoded.ids[1:]).encode())


def _each(losses: torch.Tensor, _: torch.Tensor) -> list[float]:
    values: list[float] = losses.tolist()
    return values


def _mean_losses(model: LoadedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the mean loss of each text in nats a token: (batch,)."""
    import torch

    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    if model.tokenizer.padding_side == "left":  # positions count from the first token, as evaluate's batches do
        shifts = (1 - mask).sum(dim=1).tolist()
        ids, mask = (_rolled(table, shifts) for table in (ids, mask))
    logits = model.model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (losses * mask[:, 1:]).sum(dim=1) / mask[:, 1:].sum(dim=1)


def _rolled(table: torch.Tensor, shifts: Sequence[int]) -> torch.Tensor:
    import torch

    return torch.stack([row.roll(-shift) for row, shift in zip(table, shifts, strict=True)])


_COLUMNS = ("predictions",)

RECIPES = (
    Recipe(
        "perplexity",
        "transformers",
        "AutoModelForCausalLM",
        _perplexity,
        LanguageOptions,
        _COLUMNS,
        lower_is_better=True,
    ),
    Recipe(
        "bits_per_byte",
        "transformers",
        "AutoModelForCausalLM",
        _bits_per_byte,
        LanguageOptions,
        _COLUMNS,
        lower_is_better=True,
    ),
)
"""The metrics of this file."""
