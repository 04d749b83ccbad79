"""The fill-mask recipe: what it hides, what it computes, and that its adapter loads as an application loads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from recipes import fill_mask
from recipes._train import fresh_model, load_starter, tokenizer, train

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TEXT = "Once upon a time there was a little girl who lived in a small house near the forest with her old mother. "


def test_windows_have_all_tokens_of_a_text() -> None:
    """A long text is cut into windows of at most 128 tokens, none lost; a text of spaces gives none."""
    rows = fill_mask.windows([TEXT * 20, " "])
    assert len(rows) > 3
    assert max(map(len, rows)) == fill_mask.RECIPE.max_length
    known = tokenizer()
    assert [token for row in rows for token in row[1:-1]] == known(TEXT * 20, add_special_tokens=False)["input_ids"]


def test_the_same_tokens_are_hidden_each_time() -> None:
    """A seventh of a window is hidden, never its marks, the same ones on each call and others in another window."""
    row = fill_mask.windows([TEXT])[0]
    tokens, labels = fill_mask.hidden(row, 3)
    asked = labels != fill_mask.NOT_MASKED
    assert int(asked.sum()) == round(fill_mask.MASKED_SHARE * (len(row) - 2))
    assert set(tokens[asked].tolist()) == {tokenizer().mask_token_id}
    assert torch.where(asked, labels, tokens).tolist() == row
    assert not asked[[0, -1]].any()
    assert torch.equal(fill_mask.hidden(row, 3)[0], tokens)
    assert not torch.equal(fill_mask.hidden(row, 4)[0], tokens)


def test_the_short_way_has_the_loss_of_the_long_one() -> None:
    """Computing words for the masked places only gives the library's own loss."""
    model = fresh_model(fill_mask.RECIPE).float().eval()
    row = fill_mask.windows([TEXT])[0]
    tokens, labels = (found[None] for found in fill_mask.hidden(row, 0))
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}
    with torch.inference_mode():
        expected = model(**inputs).loss
        fill_mask.prepare(model)
        found = model(**inputs).loss
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_an_adapter_of_two_steps_is_saved_and_loads(tmp_path: Path) -> None:
    """The file is small, holds the head without the vocabulary, and fills a mask after a plain load."""
    recipe = replace(fill_mask.RECIPE, epochs=1, batch_size=8)
    rows = Dataset.from_dict({"input_ids": fill_mask.windows([TEXT] * 16)})
    facts = train(recipe, rows, fill_mask.collator(), tmp_path / "made", fill_mask.prepare, tmp_path / "checkpoints")
    assert facts["steps"] == 2
    assert (tmp_path / "made" / "adapter_model.safetensors").stat().st_size < 6_000_000
    model = load_starter(recipe, tmp_path / "made")
    inputs = tokenizer()("A little [MASK].", return_tensors="pt")
    assert model(**inputs).logits.shape == (1, inputs["input_ids"].shape[1], len(tokenizer()))
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
