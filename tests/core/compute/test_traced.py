"""A recorded step gives the model's own results to the last bit, or is not used."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from copy import deepcopy
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, LlamaForCausalLM

from core.compute.traced import LONGEST_PAUSE, RECORDING_STEPS, STEPS_BEFORE, Steps
from tests.fakes.models import tiny_llama

TOKENS = torch.tensor([[5, 6, 7, 8], [9, 8, 7, 6], [3, 3, 4, 4]])


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """Give a tiny causal language model."""
    return AutoModelForCausalLM.from_pretrained(tiny_llama(tmp_path / "llama")).eval()


def written(steps: Steps, model: Any, mask: torch.Tensor, steps_made: int = 2 * STEPS_BEFORE) -> list[torch.Tensor]:
    """Return the logits of so many greedy steps after TOKENS."""
    cache = DynamicCache(config=model.config)
    found = []
    with torch.inference_mode():
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(TOKENS, attention_mask=mask, position_ids=positions, past_key_values=cache).logits[:, -1]
        for _ in range(steps_made):
            mask = torch.cat([mask, torch.ones(len(mask), 1, dtype=torch.long)], dim=1)
            logits = steps.next_logits(model, logits.argmax(-1, keepdim=True), cache, mask)
            found.append(logits)
    return found


def always(seconds: float) -> Callable[[], float]:
    """Return a clock by which every step takes so long."""
    return count(step=seconds).__next__


def recorded(steps: Steps, model: Any, *, masked: bool) -> bool:
    """Tell whether this kind of step runs from a recording."""
    return steps._known[model][masked].traced is not None


@pytest.mark.parametrize("masked", [False, True])
def test_a_recording_repeats_the_model(model: Any, monkeypatch: pytest.MonkeyPatch, masked: bool) -> None:
    """After some steps the recording takes over, and nothing changes; rows with padding have one of their own."""
    mask = torch.ones_like(TOKENS)
    mask[0, :2] = 0 if masked else 1
    steps = Steps(always(0.0))
    with_recording = written(steps, model, mask)
    assert recorded(steps, model, masked=masked)
    monkeypatch.setattr("core.compute.traced.STEPS_BEFORE", -1)
    plainly = Steps(always(0.0))
    assert all(map(torch.equal, with_recording, written(plainly, model, mask)))
    assert not recorded(plainly, model, masked=masked)


def test_nobody_waits_long_for_a_recording(model: Any) -> None:
    """No step lets the model compute more than twice, be it recorded, tried, or neither."""
    own, passes, seen = model.forward, [0], [0]

    def counting(ids: torch.Tensor, **options: Any) -> Any:
        passes[0] += 1
        return own(ids, **options)

    class Seen(Steps):
        def next_logits(self, *arguments: Any) -> torch.Tensor:
            found = super().next_logits(*arguments)
            seen.append(passes[0])
            return found

    model.forward = counting
    steps = Seen(always(0.0))
    written(steps, model, torch.ones_like(TOKENS))
    assert recorded(steps, model, masked=False)
    seen[0] = 1  # the prompt
    assert sorted({after - before for before, after in pairwise(seen)}) == [0, 1, 2]


def test_what_would_hold_others_up_is_not_recorded(model: Any) -> None:
    """Where steps take so long that a recording would take longer than the longest pause, it waits for better times."""
    longest = LONGEST_PAUSE / RECORDING_STEPS
    steps = Steps(always(longest * 1.01))
    written(steps, model, torch.ones_like(TOKENS))
    assert not recorded(steps, model, masked=False)
    steps._known[model][False].clock = always(longest * 0.99)
    written(steps, model, torch.ones_like(TOKENS))
    assert recorded(steps, model, masked=False)


def test_heads_that_share_their_keys() -> None:
    """A model with grouped queries is recorded, too, though it computes with other kernels where there is a mask."""
    shape = {"hidden_size": 576, "intermediate_size": 64, "num_attention_heads": 9, "num_key_value_heads": 3}
    torch.manual_seed(0)
    grouped = LlamaForCausalLM(LlamaConfig(vocab_size=64, num_hidden_layers=2, **shape)).eval()
    steps = Steps(always(0.0))
    written(steps, grouped, torch.ones_like(TOKENS))
    assert recorded(steps, grouped, masked=False)


def test_weights_stay_as_they_are(model: Any) -> None:
    """A recording takes no gradients, but leaves every weight as it was: one that learns and one that does not."""
    model.lm_head.weight.requires_grad_(requires_grad=False)
    before = {name: weight.requires_grad for name, weight in model.named_parameters()}
    assert set(before.values()) == {True, False}
    steps = Steps(always(0.0))
    written(steps, model, torch.ones_like(TOKENS))
    assert recorded(steps, model, masked=False)
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == before


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
    steps = Steps(always(0.0))
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
    steps = Steps(always(0.0))
    with caplog.at_level("INFO", logger="atelier"):
        assert len(written(steps, model, torch.ones_like(TOKENS))) == 2 * STEPS_BEFORE
    assert not recorded(steps, model, masked=False)
    assert "not me" in caplog.text


def test_other_attention_is_not_recorded(model: Any) -> None:
    """Only PyTorch's own attention is recorded: what others do inside is not known."""
    model.set_attn_implementation("eager")
    steps = Steps(always(0.0))
    written(steps, model, torch.ones_like(TOKENS))
    assert not recorded(steps, model, masked=False)


def test_a_recording_does_not_keep_its_model(model: Any) -> None:
    """Who knows a model's recording does not hold the model: it can be unloaded."""
    steps = Steps(always(0.0))
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
