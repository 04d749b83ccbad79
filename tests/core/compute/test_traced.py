"""A recorded step gives the model's own results to the last bit, or is not used."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from core.compute.traced import STEPS_BEFORE, Steps
from tests.fakes.models import tiny_llama

TOKENS = torch.tensor([[5, 6, 7, 8], [9, 8, 7, 6], [3, 3, 4, 4]])


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """Give a tiny causal language model."""
    return AutoModelForCausalLM.from_pretrained(tiny_llama(tmp_path / "llama")).eval()


def written(steps: Steps, model: Any, mask: torch.Tensor, count: int = 2 * STEPS_BEFORE) -> list[torch.Tensor]:
    """Return the logits of so many greedy steps after TOKENS."""
    cache = DynamicCache(config=model.config)
    found = []
    with torch.inference_mode():
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(TOKENS, attention_mask=mask, position_ids=positions, past_key_values=cache).logits[:, -1]
        for _ in range(count):
            mask = torch.cat([mask, torch.ones(len(mask), 1, dtype=torch.long)], dim=1)
            logits = steps.next_logits(model, logits.argmax(-1, keepdim=True), cache, mask)
            found.append(logits)
    return found


def recorded(steps: Steps, model: Any, *, masked: bool) -> bool:
    """Tell whether this kind of step runs from a recording."""
    return steps._known[model][masked].traced is not None


@pytest.mark.parametrize("masked", [False, True])
def test_a_recording_repeats_the_model(model: Any, monkeypatch: pytest.MonkeyPatch, masked: bool) -> None:
    """After some steps the recording takes over, and nothing changes; rows with padding have one of their own."""
    mask = torch.ones_like(TOKENS)
    mask[0, :2] = 0 if masked else 1
    steps = Steps()
    with_recording = written(steps, model, mask)
    assert recorded(steps, model, masked=masked)
    monkeypatch.setattr("core.compute.traced.STEPS_BEFORE", -1)
    plainly = Steps()
    assert all(map(torch.equal, with_recording, written(plainly, model, mask)))
    assert not recorded(plainly, model, masked=masked)


def with_a_branch(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a forward pass whose result depends on a decision about values."""

    def branching(ids: torch.Tensor, **options: Any) -> Any:
        made = forward(ids, **options)
        if int(ids.sum()) % 2:
            made.logits = made.logits + 1
        return made

    return branching


def test_a_model_that_decides_by_values_is_not_recorded(model: Any) -> None:
    """A recording would always take the branch that it saw; it is found out and left alone."""
    model.forward = with_a_branch(model.forward)
    steps = Steps()
    first, again = (written(steps, model, torch.ones_like(TOKENS)) for _ in range(2))
    assert not recorded(steps, model, masked=False)
    assert all(map(torch.equal, first, again))


def test_a_model_that_cannot_be_recorded_goes_on_plainly(model: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A forward pass that refuses to be recorded is used as it is, and the log says so."""
    own = model.forward

    def refusing(ids: torch.Tensor, **options: Any) -> Any:
        if torch.jit.is_tracing():
            raise ValueError("not me")
        return own(ids, **options)

    model.forward = refusing
    steps = Steps()
    with caplog.at_level("INFO", logger="atelier"):
        assert len(written(steps, model, torch.ones_like(TOKENS))) == 2 * STEPS_BEFORE
    assert not recorded(steps, model, masked=False)
    assert "not me" in caplog.text


def test_other_attention_is_not_recorded(model: Any) -> None:
    """Only PyTorch's own attention is recorded: what others do inside is not known."""
    model.set_attn_implementation("eager")
    steps = Steps()
    written(steps, model, torch.ones_like(TOKENS))
    assert not recorded(steps, model, masked=False)


def test_a_recording_does_not_keep_its_model(model: Any) -> None:
    """Who knows a model's recording does not hold the model: it can be unloaded."""
    steps = Steps()
    written(steps, model, torch.ones_like(TOKENS))
    assert recorded(steps, model, masked=False)
    copy = deepcopy(model)
    written(steps, copy, torch.ones_like(TOKENS))
    assert recorded(steps, copy, masked=False)
    gone, weights = weakref.ref(copy), weakref.ref(copy.lm_head.weight)
    del copy
    gc.collect()
    assert gone() is None
    assert weights() is None
