"""The networks that learn together."""

from __future__ import annotations

import pytest
import torch

from core.training.pictures.learner import learner_of
from core.training.pictures.method import prepare_to_learn
from tests.core.training.pictures.lessons import settings, tiny_parts


def test_its_state_is_what_learns() -> None:
    """A checkpoint holds adapters alone, they come back, and a stranger's are refused."""
    parts = tiny_parts("sd")
    trainable, total = prepare_to_learn(parts, settings(train_text_encoder=True), on_gpu=False)
    learner = learner_of(parts, 5.0, reads=True)
    state = learner.state_dict()
    assert sum(one.numel() for one in state.values()) == trainable < total / 10
    assert {name.split(".")[0] for name in state} == {"unet", "encoders"}
    assert all("lora_" in name and one.dtype == torch.float32 for name, one in state.items())
    other = {name: one + 1 for name, one in state.items()}
    learner.load_state_dict(other)
    assert all(torch.equal(one, other[name]) for name, one in learner.state_dict().items())
    with pytest.raises(RuntimeError, match="not what learns here"):
        learner.load_state_dict({"unet.conv_in.weight": torch.zeros(1)})
