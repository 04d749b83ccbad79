"""Whether a starter's answers stay the same under bfloat16 autocast: only then may whole tables be computed so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LABELS_EQUAL_AT_LEAST = 0.995
SCORES_APART_AT_MOST = 0.02


@dataclass(frozen=True)
class MixedPrecision:
    """How far answers under bfloat16 autocast are from float32's, on the same texts."""

    n: int
    labels_equal: float
    scores_apart: float

    @property
    def agrees(self) -> bool:
        """Tell whether both are within what a table may differ from single answers."""
        return self.labels_equal >= LABELS_EQUAL_AT_LEAST and self.scores_apart <= SCORES_APART_AT_MOST


def compare(exact: np.ndarray, mixed: np.ndarray) -> MixedPrecision:
    """Compare two tables of scores (texts, labels)."""
    equal = float((exact.argmax(-1) == mixed.argmax(-1)).mean())
    return MixedPrecision(len(exact), round(equal, 4), round(float(np.abs(exact - mixed).max()), 4))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return scores (texts, labels) that sum to 1 a text."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
