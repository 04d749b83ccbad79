"""Dropout with cheap random bytes is the dropout of torch, but for where its zeros lie."""

import pytest
import torch

from recipes._dropout import cheap_dropout


def test_share_and_mean() -> None:
    """About the asked share of values becomes zero, and the mean stays what it was."""
    values = torch.ones(400, 500, requires_grad=True)
    with cheap_dropout(13):
        dropped = torch.nn.Dropout(0.1)(values)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(dropped.detach().mean()) == pytest.approx(1.0, abs=0.01)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_evaluation_and_afterwards() -> None:
    """A model that is evaluated loses nothing, and torch's own function is back afterwards."""
    plain, layer = torch.nn.functional.dropout, torch.nn.Dropout(0.5).eval()
    with cheap_dropout(13):
        assert torch.equal(layer(torch.ones(9)), torch.ones(9))
    assert torch.nn.functional.dropout is plain
