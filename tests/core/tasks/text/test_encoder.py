"""The forward pass itself: what runs in which precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.provenance import MIXED
from core.tasks.text.encoder import Lane, encode, forward, read_logits
from core.tasks.text.text_classification import TextClassificationSettings

TEXTS = ("a good film", "the plot was awful and never great", "bad !")
TABLE = Lane(background=True, exact=False)


def logits(registry: Registry, model: LoadedModel, lane: Lane) -> torch.Tensor:
    """Run the model over all texts: (texts, labels)."""
    return torch.stack(forward(registry, model, encode(model, TEXTS), read_logits, lane))


def plain_logits(model: LoadedModel, texts: Sequence[str]) -> torch.Tensor:
    """Return what the plain library computes, a text at a time."""
    with torch.inference_mode():
        return torch.cat([model.model(**model.tokenizer(text, return_tensors="pt")).logits.float() for text in texts])


@pytest.fixture
def model(make_model: Any, borrowed: Any) -> Any:
    """Give a tiny classifier whose record allows mixed precision for tables."""
    settings = TextClassificationSettings(text="any", model=make_model("sequence-classification"))
    with borrowed(settings, "text-classification") as plain:
        yield replace(plain, placement=replace(plain.placement, mixed_tables=True))


def test_a_table_runs_under_autocast(registry: Registry, model: LoadedModel) -> None:
    """In a table's lane the matrix products are bfloat16, exactly as under torch.autocast, and it is said."""
    with torch.autocast("cpu", torch.bfloat16):
        expected = plain_logits(model, TEXTS)
    found = logits(registry, model, TABLE)
    assert found == pytest.approx(expected, abs=0.02)
    assert not torch.equal(found, plain_logits(model, TEXTS))
    assert model.provenance(0.0, mixed=TABLE.mixes(model)).dtype == MIXED


def test_a_single_text_stays_exact(registry: Registry, model: LoadedModel) -> None:
    """An interactive request over the same weights is computed in float32, whatever runs beside it."""
    assert torch.allclose(logits(registry, model, Lane()), plain_logits(model, TEXTS), atol=1e-6)
    assert model.provenance(0.0).dtype == "float32"


def test_a_table_of_a_model_that_nobody_compared_stays_exact(registry: Registry, model: LoadedModel) -> None:
    """Without the record's word a table is computed in float32, too."""
    unknown = replace(model, placement=replace(model.placement, mixed_tables=False))
    assert torch.allclose(logits(registry, unknown, TABLE), plain_logits(unknown, TEXTS), atol=1e-6)
    assert unknown.provenance(0.0, mixed=TABLE.mixes(unknown)).dtype == "float32"


def test_a_table_whose_dtype_was_chosen_stays_exact(registry: Registry, model: LoadedModel) -> None:
    """Whoever asks for float32 gets it, though the same weights serve mixed tables, too."""
    chosen = Lane(background=True)
    assert torch.allclose(logits(registry, model, chosen), plain_logits(model, TEXTS), atol=1e-6)
    assert model.provenance(0.0, mixed=chosen.mixes(model)).dtype == "float32"
