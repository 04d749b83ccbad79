"""What is done about black pictures and memory that runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from core.errors import NotEnoughMemory
from core.imaging.pictures import Watch
from core.imaging.repair import Shortage, careful_decoding, next_remedy
from core.imaging.text_to_image import TextToImageSettings
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.placement.planner import Placement
from core.placement.wish import Wish
from tests.fakes.pipelines import tiny_pipeline


@pytest.fixture
def model(registry: Registry) -> Iterator[LoadedModel]:
    """Lend the tiny Stable Diffusion."""
    spec = TextToImageSettings(prompt="x", model=str(tiny_pipeline("sd"))).spec(registry, "text-to-image")
    with registry.borrow(spec) as lent:
        yield lent


@pytest.mark.parametrize("fault", ["nan", "black"])
def test_half_precision_is_decoded_again_in_float32(fault: str) -> None:
    """A decoder that fails in bfloat16 decodes in float32, and is in bfloat16 again afterwards."""
    import diffusers
    import torch

    vae = diffusers.AutoencoderKL.from_pretrained(tiny_pipeline("sd") / "vae", torch_dtype=torch.bfloat16)
    value = {"nan": torch.nan, "black": -1.0}[fault]
    vae.decoder.conv_out.register_forward_hook(
        lambda _, __, answer: torch.full_like(answer, value) if answer.dtype is torch.bfloat16 else answer
    )
    notes: list[Any] = []
    latents = torch.randn(2, 4, 8, 8, dtype=torch.bfloat16)
    with torch.inference_mode(), careful_decoding(vae, notes.append):
        picture = vae.decode(latents, return_dict=False)[0]
    assert torch.isfinite(picture).all()
    assert picture.float().std() > 0.1
    assert [note.key for note in notes] == ["say.vae_again"]
    assert {one.dtype for one in vae.parameters()} == {torch.bfloat16}
    assert not next(vae.parameters()).is_inference()
    assert "decode" not in vars(vae)


def test_a_picture_that_is_black_in_float32_is_told(draws: Any, model: LoadedModel) -> None:
    """Nothing is repaired in vain: the picture stays, with a note."""
    import torch

    hook = model.model.vae.decoder.conv_out.register_forward_hook(lambda *args: torch.full_like(args[2], -1.0))
    try:
        drawn = draws()
    finally:
        hook.remove()
    assert [note.key for note in drawn.notes] == ["say.picture_black"]
    assert not np.asarray(drawn.pictures[0].image).any()


@pytest.fixture
def short_once(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let the named method of diffusers run out of memory once, at its nth call."""
    import diffusers

    def arrange(method: str, call: int) -> None:
        made = diffusers.UNet2DConditionModel if method == "forward" else diffusers.AutoencoderKL
        plain, calls = getattr(made, method), []

        def failing(*arguments: Any, **options: Any) -> Any:
            calls.append(1)
            if len(calls) == call:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")
            return plain(*arguments, **options)

        monkeypatch.setattr(made, method, failing)
        registry.release_all()

    return arrange


def test_memory_that_runs_out_while_drawing_is_answered_once(
    draws: Any, short_once: Callable[[str, int], None], registry: Registry, difference: Any
) -> None:
    """Idle models go, attention is sliced, and what is missing is drawn again; finished pictures are not."""
    expected = draws(num_images_per_prompt=2, x_axis="guidance_scale", x_values="1,5")
    draws(model=str(tiny_pipeline("sdxl")), num_inference_steps=1)
    kept: list[Any] = []
    short_once("forward", 5)  # the second step of the second place
    draws(model=str(tiny_pipeline("sdxl")), num_inference_steps=1)
    drawn = draws(Watch(keep=kept.append), num_images_per_prompt=2, x_axis="guidance_scale", x_values="1,5")
    assert [(one.place, one.seed) for one in kept] == [(0, 7), (1, 8), (2, 7), (3, 8)]
    (note,) = drawn.notes
    assert (note.key, note.values["remedy"]) == ("say.drawn_again_with", "attention_slicing = on")
    assert str(tiny_pipeline("sdxl")) in note.values["names"]
    assert drawn.provenance.attention == "sliced"
    pairs = zip(drawn.pictures, expected.pictures, strict=True)
    assert max(difference(mine.image, theirs.image) for mine, theirs in pairs) <= 2
    assert {one.borrowed for one in registry.ledger()} == {0}


def test_memory_that_runs_out_while_decoding_slices_the_autoencoder(
    draws: Any, short_once: Callable[[str, int], None]
) -> None:
    """Where the last step was taken already, the remedy is the autoencoder's."""
    short_once("decode", 1)
    (note,) = draws().notes
    assert note.values["remedy"] == "vae_slicing = on"


def test_a_second_time_is_refused(draws: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more means once: then the refusal says what helps, and nobody holds the model."""
    import diffusers

    def never(*_: Any, **__: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr(diffusers.UNet2DConditionModel, "forward", never)
    with pytest.raises(NotEnoughMemory):
        draws()
    assert {one.borrowed for one in registry.ledger()} <= {0}


@pytest.mark.parametrize(
    ("device", "wish", "decoding", "expected"),
    [
        ("cpu", {}, False, ("attention_slicing", "on")),
        ("cpu", {"attention_slicing": "off"}, False, ("vae_slicing", "on")),
        ("cuda:0", {}, False, ("offload", "model")),
        ("cuda:0", {"offload": "none"}, False, ("attention_slicing", "on")),
        ("cuda:0", {"vae_slicing": "off"}, True, ("vae_tiling", "on")),
        ("cpu", {"attention_slicing": "off", "vae_slicing": "off", "vae_tiling": "off"}, False, None),
    ],
)
def test_the_next_remedy(device: str, wish: dict[str, str], decoding: bool, expected: Any) -> None:
    """The remedy is one where memory ran out, and none that was switched off."""
    short = Shortage(
        NotEnoughMemory("error.memory_ran_out_computing"), Placement(device, "float32", "sdpa"), decoding, slices=True
    )
    assert next_remedy(Wish(**wish), short) == expected
