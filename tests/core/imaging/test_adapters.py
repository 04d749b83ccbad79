"""LoRA adapters and textual inversions: laid over a model for one drawing only."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import Cancelled, InvalidInput, NotAModel
from core.events import CancelToken
from core.imaging.pictures import Watch
from core.imaging.text_to_image import TextToImageSettings
from core.models.registry import Registry
from tests.fakes.pipelines import tiny_pipeline

HEAVY = 0.3
"""Spread of made-up weights: enough to move pixels, too little to blow rounding up into another picture."""


def _lora(folder: Path, seed: int, family: str = "sd") -> str:
    """Write a random adapter of rank 2 for every attention of a tiny pipeline, in diffusers' own format."""
    import diffusers
    import torch
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = diffusers.UNet2DConditionModel.from_pretrained(tiny_pipeline(family) / "unet")
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    generator = torch.Generator().manual_seed(seed)
    layers = {
        name: torch.randn(one.shape, generator=generator) * HEAVY
        for name, one in get_peft_model_state_dict(unet).items()
    }
    pipeline = diffusers.StableDiffusionPipeline if family == "sd" else diffusers.StableDiffusionXLPipeline
    pipeline.save_lora_weights(folder, unet_lora_layers=layers)
    return str(folder)


@pytest.fixture
def style(tmp_path: Path) -> str:
    """Give the folder of an adapter."""
    return _lora(tmp_path / "style", 1)


def _pixels(drawn: Any) -> np.ndarray:
    return np.asarray(drawn.pictures[0].image, int)


def test_an_adapter_is_gone_with_its_drawing(draws: Any, style: str) -> None:
    """Without, with, without: the first and the last are equal to the last bit, the middle is another picture."""
    without, with_it, after = draws(), draws(loras=style), draws()
    assert np.array_equal(_pixels(without), _pixels(after))
    assert np.abs(_pixels(with_it) - _pixels(without)).mean() > 1
    assert with_it.provenance.adapter.startswith(f"{style}@")
    assert (without.provenance.adapter, after.provenance.adapter) == (None, None)


def test_weight_0_is_without(draws: Any, style: str, difference: Any) -> None:
    """An adapter that counts for nothing changes nothing, up to rounding."""
    assert difference(_pixels(draws(loras=f"{style}:0")), _pixels(draws())) <= 1


def test_several_adapters_each_with_its_weight(draws: Any, style: str, tmp_path: Path) -> None:
    """Two adapters, and the same two with other weights, give different pictures; the label names both."""
    other = _lora(tmp_path / "other", 2)
    texts = (style, f"{style}:0.5", f"{style}, {other}", f"{style}:0.5，{other}:-1")
    drawn = [draws(loras=text) for text in texts]
    assert len({_pixels(one).tobytes() for one in drawn}) == len(texts)
    assert drawn[-1].provenance.adapter.split(", ")[1].endswith(":-1")


def test_plain_diffusers_gives_the_same(draws: Any, style: str, difference: Any) -> None:
    """An adapter counts as much as diffusers lets it count."""
    import diffusers
    import torch

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_pipeline("sd"))
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(style, adapter_name="x")
    pipeline.set_adapters("x", 0.7)
    generator = torch.Generator().manual_seed(7)
    few = {"num_inference_steps": 3, "guidance_scale": 5.0, "width": 64, "height": 64}
    theirs = pipeline("a red cat", generator=generator, **few).images[0]
    assert difference(_pixels(draws(loras=f"{style}:0.7")), theirs) <= 1


def test_an_adapter_goes_after_a_stop_and_after_an_error(draws: Any, style: str, registry: Registry) -> None:
    """Neither a stop half-way nor a refusal leaves anything of it behind."""
    before = _pixels(draws())
    token = CancelToken()
    with pytest.raises(Cancelled):
        draws(Watch(report=lambda _: token.cancel(), cancel=token), loras=style)
    with pytest.raises(InvalidInput):
        draws(loras=style, width=63)
    assert np.array_equal(_pixels(draws()), before)
    spec = TextToImageSettings(prompt="x", model=str(tiny_pipeline("sd"))).spec(registry, "text-to-image")
    with registry.borrow(spec) as model:
        assert not [name for name, _ in model.model.unet.named_modules() if "lora" in name]


def test_an_adapter_of_another_family_is_refused(draws: Any, tmp_path: Path) -> None:
    """An adapter made for Stable Diffusion XL does not fit version 1, in words, and leaves no trace."""
    before = _pixels(draws())
    with pytest.raises(NotAModel, match="made for another model"):
        draws(loras=_lora(tmp_path / "xl", 1, "sdxl"))
    assert np.array_equal(_pixels(draws()), before)


@pytest.mark.parametrize(
    ("loras", "words"),
    [("style:9", "outside -4"), ("style:-4.5", "outside -4"), ("a/b, a/b:0.5", "twice"), (":0.5", "cannot be read")],
)
def test_adapters_that_cannot_be_read_are_refused(loras: str, words: str) -> None:
    """Weights outside the limits, the same adapter twice, and one without a name are told."""
    with pytest.raises(InvalidInput, match=words):
        TextToImageSettings(prompt="x", loras=loras)


def _inversion(file: Path, vectors: int = 1, word: str = "<thing>") -> str:
    import torch
    from safetensors.torch import save_file

    file.parent.mkdir()
    save_file({word: torch.randn(vectors, 16, generator=torch.Generator().manual_seed(5)) * HEAVY}, file)
    return str(file.parent)


@pytest.mark.parametrize("vectors", [1, 3])
def test_a_learned_word_is_known_for_one_drawing(draws: Any, tmp_path: Path, vectors: int) -> None:
    """A textual inversion gives its word a meaning; afterwards the word means what it did before."""
    draw = partial(draws, prompt="a <thing>")
    folder = _inversion(tmp_path / "thing" / "learned_embeds.safetensors", vectors)
    without, with_it, after = draw(), draw(textual_inversions=folder), draw()
    assert np.array_equal(_pixels(without), _pixels(after))
    assert not np.array_equal(_pixels(with_it), _pixels(without))
    renamed = draws(prompt="a <cat>", textual_inversions=f"{folder}:<cat>")
    assert np.array_equal(_pixels(renamed), _pixels(with_it))


def test_a_word_of_another_size_is_refused(draws: Any, tmp_path: Path) -> None:
    """Vectors that are as long as another model's are told in words."""
    import torch
    from safetensors.torch import save_file

    (tmp_path / "long").mkdir()
    save_file({"<x>": torch.zeros(1, 768)}, tmp_path / "long" / "learned_embeds.safetensors")
    before = _pixels(draws())
    with pytest.raises(NotAModel, match="made for another model"):
        draws(textual_inversions=str(tmp_path / "long"))
    assert np.array_equal(_pixels(draws()), before)
