"""From rows of tokens to a batch: padded to its longest row, and no further."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from core.training.data.prepared import ANSWERS, IGNORED, LABELS, MASKED, PAIRS, PREFERENCE, WORDS, Prepared

Features = Sequence[dict[str, Any]]
Collator = Callable[[Features], dict[str, Any]]
_READ = ("input_ids", "token_type_ids", "labels", "position_ids", "start_positions", "end_positions")
"""What a model's forward takes; the other columns are for us."""


def collator_for(
    prepared: Prepared,
    tokenizer: Any,
    model: Any = None,
    *,
    multiple_of: int | None = None,
    mlm_probability: float = 0.15,
) -> Collator:
    """Return what makes the batches of prepared data.

    `model` makes an encoder-decoder's decoder_input_ids; `multiple_of` suits tensor cores (8). Texts to be masked are
    masked anew in each batch with `mlm_probability`, save those that bring their `labels`.
    """
    if prepared.shape == PREFERENCE:
        return _preference(prepared, tokenizer, multiple_of)
    if prepared.shape == PAIRS:
        from transformers import DataCollatorForSeq2Seq

        return _Fitted(DataCollatorForSeq2Seq(tokenizer, model, pad_to_multiple_of=multiple_of))
    if prepared.shape in (LABELS, ANSWERS):
        from transformers import DataCollatorWithPadding

        return _Fitted(DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple_of))
    if prepared.shape == WORDS:
        from transformers import DataCollatorForTokenClassification

        return _Fitted(DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=multiple_of))
    fixed = _Padded(padding_id(tokenizer), multiple_of, prepared.packed)
    if prepared.shape != MASKED:
        return fixed
    from transformers import DataCollatorForLanguageModeling

    drawn = DataCollatorForLanguageModeling(tokenizer, mlm_probability=mlm_probability, pad_to_multiple_of=multiple_of)
    return _Masked(drawn, fixed)


def padding_id(tokenizer: Any) -> int:
    """Return the id that fills rows up; its labels are IGNORED, so that any will do where there is none."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
    return next((one for one in known if one is not None), 0)


def _preference(prepared: Prepared, tokenizer: Any, multiple_of: int | None) -> Collator:
    """Take TRL's own, one for each of its two trainers."""
    trainer = "reward_trainer" if prepared.task == "reward" else "dpo_trainer"
    collating = import_module(f"trl.trainer.{trainer}").DataCollatorForPreference
    made: Collator = collating(pad_token_id=padding_id(tokenizer), pad_to_multiple_of=multiple_of)
    return made


@dataclass(frozen=True)
class _Fitted:
    """A collator of transformers that is shown only what a model reads."""

    inner: Any

    def __call__(self, features: Features) -> dict[str, Any]:
        batch: dict[str, Any] = self.inner([_readable(feature) for feature in features])
        return batch


@dataclass(frozen=True)
class _Masked:
    """Masks anew, unless the rows say what is hidden."""

    drawn: Any
    fixed: _Padded

    def __call__(self, features: Features) -> dict[str, Any]:
        if "labels" in features[0]:
            return self.fixed(features)
        shown = [{name: one[name] for name in ("input_ids", "special_tokens_mask")} for one in features]
        batch: dict[str, Any] = self.drawn(shown)
        return batch


@dataclass(frozen=True)
class _Padded:
    """Pads on the right, on whichever side a tokenizer pads to generate: positions count from the left in training.

    Packed rows get positions instead of an attention mask: transformers parts their texts by them.
    """

    padding: int
    multiple_of: int | None
    packed: bool

    def __call__(self, features: Features) -> dict[str, Any]:
        import torch

        longest = max(len(feature["input_ids"]) for feature in features)
        width = -(-longest // self.multiple_of) * self.multiple_of if self.multiple_of else longest
        fills = {"input_ids": self.padding, "labels": IGNORED}
        batch = {
            name: torch.tensor([_filled(feature[name], width, fill) for feature in features])
            for name, fill in fills.items()
        }
        if self.packed:
            places = [[*one["position_ids"], *range(width - len(one["position_ids"]))] for one in features]
            return {**batch, "position_ids": torch.tensor(places)}
        ones = [_filled([1] * len(feature["input_ids"]), width, 0) for feature in features]
        return {**batch, "attention_mask": torch.tensor(ones)}


def _filled(cells: Sequence[int], width: int, fill: int) -> list[int]:
    return [*cells, *[fill] * (width - len(cells))]


def _readable(feature: dict[str, Any]) -> dict[str, Any]:
    return {name: feature[name] for name in _READ if name in feature}
