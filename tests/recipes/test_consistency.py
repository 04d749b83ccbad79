"""Two passes over a text that shall answer alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments

from recipes._train import ConsistencyTrainer


def losses(folder: Path, dropout: float, *weights: float) -> list[float]:
    """Return the loss of one batch for each weight of the difference, with the same random numbers."""
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).train()
    rows = {"input_ids": torch.arange(24).reshape(4, 6), "attention_mask": torch.ones(4, 6, dtype=torch.long)}
    arguments = TrainingArguments(output_dir=str(folder), use_cpu=True, label_smoothing_factor=0.1)
    found = []
    for weight in weights:
        torch.manual_seed(1)
        trainer = ConsistencyTrainer(model=model, args=arguments, weight=weight)
        found.append(trainer.compute_loss(model, {**rows, "labels": torch.tensor([0, 1, 1, 0])}).item())
    model.eval()
    with torch.no_grad():
        logits = model(**rows).logits
    plain = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1, 0]), label_smoothing=0.1)
    return [plain.item(), *found]


def test_without_dropout_only_the_plain_loss_is_left(tmp_path: Path) -> None:
    """Where nothing is dropped both passes agree, and the loss is the smoothed cross entropy, whatever the weight."""
    plain, light, heavy = losses(tmp_path, 0.0, 0.0, 9.0)
    assert (light, heavy) == pytest.approx((plain, plain), abs=1e-6)


def test_passes_that_differ_cost(tmp_path: Path) -> None:
    """With dropout the loss grows with the weight, in proportion."""
    _, none, one, three = losses(tmp_path, 0.5, 0.0, 1000.0, 3000.0)
    assert one > none
    assert three - none == pytest.approx(3 * (one - none), rel=1e-3)
