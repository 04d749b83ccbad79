"""Whether two lists of pipeline results say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tolerance:
    """How far results may be apart: the share of equal labels, and the largest difference of scores where equal."""

    labels: float = 1.0
    score: float = 1e-3


@dataclass(frozen=True)
class Agreement:
    """How far they are apart, and whether that is allowed."""

    equal: bool
    words: str


def agreement(ours: Sequence[Mapping[str, Any]], plain: Sequence[Mapping[str, Any]], allowed: Tolerance) -> Agreement:
    """Compare {label, score} pairs, one a text, in order."""
    pairs = list(zip(ours, plain, strict=True))
    same = [(one, other) for one, other in pairs if one["label"] == other["label"]]
    share = len(same) / len(pairs)
    apart = max((abs(one["score"] - other["score"]) for one, other in same), default=0.0)
    words = (
        f"{len(same):,} of {len(pairs):,} labels equal (at least {allowed.labels:.1%}), "
        f"scores apart by at most {apart:.1e} (allowed {allowed.score:g})"
    )
    return Agreement(share >= allowed.labels and apart <= allowed.score, words)
