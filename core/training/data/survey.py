"""A data set in numbers, for whoever chooses a training's own."""

from __future__ import annotations

from dataclasses import replace

from core.training.data.prepared import Splits
from core.training.data.rules import ModelReader, lengths_of, nearly_all, unlimited_rules
from core.training.defaults import DataShape
from core.training.settings import TrainSettings


def survey(settings: TrainSettings, splits: Splits, reader: ModelReader | None = None) -> DataShape:
    """Return the data in numbers, lengths from up to a thousand rows; without a reader, as for pictures, none."""
    counted = DataShape(
        rows=len(splits.train),
        validation_rows=len(splits.validation),
        labels=len(splits.labels),
        shape=splits.shape,
    )
    if reader is None:
        return counted
    ruled = unlimited_rules(settings, splits, reader)
    inputs, targets = lengths_of(splits.train, ruled)
    return replace(
        counted,
        longest=nearly_all(inputs),
        typical=round(sum(inputs) / max(len(inputs), 1)),
        target_longest=nearly_all(targets) if targets else 0,
        shape=ruled.shape,
    )
