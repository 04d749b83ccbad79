"""A small UNet's steps, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.imaging.recorded import KEPT, STEPS_BEFORE, may_be_recorded, recorded
from core.imaging.text_to_image import TextToImageSettings
from core.models.loading import LoadedModel
from core.models.registry import Registry
from tests.fakes.pipelines import tiny_pipeline


@pytest.fixture
def model(registry: Registry) -> Iterator[LoadedModel]:
    """Lend the tiny Stable Diffusion, with nothing recorded."""
    spec = TextToImageSettings(prompt="x", model=str(tiny_pipeline("sd"))).spec(registry, "text-to-image")
    with registry.borrow(spec) as lent:
        lent.kept.pop(KEPT, None)
        yield lent


def _used(model: LoadedModel) -> list[bool]:
    return [shape.traced is not None for shape in model.kept[KEPT].values()]


def test_recorded_pictures_are_the_same(draws: Any, model: LoadedModel, difference: Any) -> None:
    """Once a shape was used it is recorded, and its pictures stay what they were; other shapes are on their own."""
    before = draws(seed=1)
    draws(num_inference_steps=STEPS_BEFORE, scheduler="euler", guidance_scale=1.0)
    draws(num_inference_steps=STEPS_BEFORE)
    after = draws(seed=1)
    assert any(_used(model))
    assert difference(before.pictures[0].image, after.pictures[0].image) <= 1
    wide = draws(seed=1, width=96)
    assert wide.pictures[0].size == (96, 64)


def test_a_recording_sees_its_inputs(model: LoadedModel) -> None:
    """Each of the three inputs changes the answer as it changes the UNet's."""
    import torch

    unet = model.model.unet
    assert may_be_recorded(model.model)
    inputs = torch.randn(2, 4, 8, 8), torch.tensor(500), torch.randn(2, 77, 16)
    others = torch.randn(2, 4, 8, 8), torch.tensor(20), torch.randn(2, 77, 16)
    with torch.inference_mode(), recorded(unet, model.kept):
        for _ in range(STEPS_BEFORE):
            unet(inputs[0], inputs[1], encoder_hidden_states=inputs[2], return_dict=False)
    assert _used(model) == [True]
    for place in range(3):
        mixed = [others[one] if one == place else inputs[one] for one in range(3)]
        with torch.inference_mode():
            plain = unet(*mixed[:2], encoder_hidden_states=mixed[2], return_dict=False)[0]
            with recorded(unet, model.kept):
                mine = unet(*mixed[:2], encoder_hidden_states=mixed[2], return_dict=False)[0]
        assert torch.allclose(mine, plain, atol=1e-4)
    assert "forward" not in vars(unet)


def test_what_is_more_than_three_inputs_is_not_recorded(model: LoadedModel) -> None:
    """A ControlNet's hints, and whoever wants more than a tuple, go to the UNet itself."""
    import torch

    unet = model.model.unet
    inputs = torch.randn(1, 4, 8, 8), torch.tensor(500)
    with torch.inference_mode(), recorded(unet, model.kept):
        answer = unet(*inputs, encoder_hidden_states=torch.randn(1, 77, 16))
    assert answer.sample.shape == (1, 4, 8, 8)
    assert model.kept[KEPT] == {}


def test_a_recording_goes_with_its_model(draws: Any, registry: Registry) -> None:
    """A model with a recording is unloaded like any other: nothing holds its weights."""
    draws(num_inference_steps=STEPS_BEFORE)
    name = str(tiny_pipeline("sd"))
    freed = [registry.release(one.id) for one in registry.ledger() if one.name == name]
    assert freed
    assert all(one.refusal is None and one.tensor_bytes > 0 for one in freed)
