"""Schedulers by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from core.imaging.schedulers import AUTO, SCHEDULER_NAMES, SCHEDULERS, good_for
from tests.fakes.pipelines import tiny_pipeline

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
"""Some schedulers of diffusers call NumPy 2 as NumPy 1 was called."""
NOISE = [name for name, one in SCHEDULERS.items() if not one.flow]
FLOW = [name for name, one in SCHEDULERS.items() if one.flow]
HEUN = ("flux", "flow_heun")


@pytest.mark.parametrize("name", NOISE)
def test_each_draws_with_a_model_that_learned_noise(draws: Any, name: str) -> None:
    """Every scheduler of this kind ends in a picture of numbers, with nothing to note."""
    drawn = draws(scheduler=name, num_inference_steps=4)
    assert np.asarray(drawn.pictures[0].image).std() > 3
    assert drawn.notes == ()


@pytest.mark.parametrize(
    ("family", "name"), [(family, name) for family in ("sd3", "flux") for name in FLOW if (family, name) != HEUN]
)
def test_each_draws_with_a_model_that_learned_a_flow(draws: Any, name: str, family: str) -> None:
    """Every scheduler for flows draws with Stable Diffusion 3 and with Flux."""
    drawn = draws(scheduler=name, model=str(tiny_pipeline(family)))
    assert np.asarray(drawn.pictures[0].image).std() > 3


def test_one_that_takes_no_levels_of_the_pipeline_is_refused(draws: Any) -> None:
    """Flux gives its scheduler the noise levels, which Heun's does not take; the refusal names another."""
    with pytest.raises(InvalidInput, match="flow_euler"):
        draws(scheduler="flow_heun", model=str(tiny_pipeline("flux")))


@pytest.mark.parametrize(("family", "name"), [("sd", "flow_euler"), ("sd3", "ddim"), ("flux", "euler")])
def test_the_wrong_kind_is_refused(draws: Any, family: str, name: str) -> None:
    """A flow model refuses schedulers for noise and the other way round, and names those that fit."""
    fitting = FLOW if name in NOISE else NOISE
    with pytest.raises(InvalidInput, match=f"auto, {fitting[0]}"):
        draws(scheduler=name, model=str(tiny_pipeline(family)))


def test_the_model_keeps_its_own(draws: Any) -> None:
    """A scheduler that somebody chose is gone with the drawing."""
    before, _, after = draws(), draws(scheduler="lcm"), draws()
    assert before.pictures[0].image.tobytes() == after.pictures[0].image.tobytes()


def test_each_says_what_it_is_good_for() -> None:
    """No two have the same sentence."""
    assert SCHEDULER_NAMES[0] == AUTO
    assert len({str(good_for(name)) for name in SCHEDULER_NAMES}) == len(SCHEDULER_NAMES)
