"""A label and how sure the model is of it: what every classifier answers with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelScore:
    """A label and its score: a probability, or a raw value where the model was asked for that."""

    label: str
    score: float
