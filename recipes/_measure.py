"""Measurements with bootstrap intervals, and batched prediction for the saved starters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

BOOTSTRAP_DRAWS = 1000
BOOTSTRAP_SEED = 13


@dataclass(frozen=True)
class Measurement:
    """One score on one split, with its 95 % bootstrap interval."""

    name: str
    dataset: str
    split: str
    n: int
    value: float
    ci95: tuple[float, float]
    note: str = ""


def score(
    name: str,
    dataset: str,
    split: str,
    rows: Sequence,
    note: str = "",
    statistic: Callable[[np.ndarray], float] = np.mean,
) -> Measurement:
    """Return `statistic` over the per-example `rows`, with an interval from resampling them."""
    table = np.asarray(rows, dtype=float)
    random = np.random.default_rng(BOOTSTRAP_SEED)
    draws = [statistic(table[random.integers(0, len(table), len(table))]) for _ in range(BOOTSTRAP_DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5])
    interval = (round(float(low), 4), round(float(high), 4))
    return Measurement(name, dataset, split, len(table), round(float(statistic(table)), 4), interval, note)


def micro_f1(counts: np.ndarray) -> float:
    """Return micro F1 from per-example rows of (correct, predicted, expected) counts."""
    correct, predicted, expected = counts.sum(axis=0)
    return float(2 * correct / max(predicted + expected, 1))


def class_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    max_length: int = 128,
) -> np.ndarray:
    """Return one row of class logits per text, or per pair of texts, in the given order."""
    logits = np.zeros((len(texts), model.config.num_labels), dtype=np.float32)
    for batch in batches([len(text) for text in texts]):
        inputs = tokenizer(
            [texts[i] for i in batch],
            [pairs[i] for i in batch] if pairs is not None else None,
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits[batch] = model(**inputs).logits.float().numpy()
    return logits


def batches(lengths: Sequence[int], size: int = 64) -> Iterator[list[int]]:
    """Yield lists of row numbers, similar lengths together so that little is padding."""
    order = np.argsort(lengths, kind="stable").tolist()
    for start in range(0, len(order), size):
        yield order[start : start + size]
