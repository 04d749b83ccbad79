"""Pictures from words, on tiny pipelines of four families."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import Cancelled, InvalidInput, ModelError
from core.events import CancelToken, Progress
from core.imaging.pictures import Watch
from core.imaging.recorded import KEPT
from core.imaging.text_to_image import TextToImageSettings, text_to_image
from core.models.registry import Registry
from tests.fakes.pipelines import FAMILIES, tiny_pipeline


def test_it_is_the_picture_of_plain_diffusers(draws: Any, difference: Any) -> None:
    """The same settings give the pixels that diffusers gives without Atelier, up to one level of rounding."""
    import diffusers
    import torch

    ours = draws(guidance_scale=6.0, negative_prompt="blue").pictures[0].image
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_pipeline("sd"))
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "a red cat",
        negative_prompt="blue",
        guidance_scale=6.0,
        num_inference_steps=3,
        width=64,
        height=64,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    assert difference(ours, theirs) <= 1
    assert np.asarray(ours).std() > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws(draws: Any, family: str) -> None:
    """Stable Diffusion 1.x, XL, 3 and Flux all draw, two pictures at a time, with every step told."""
    told: list[Progress] = []
    drawn = draws(Watch(report=told.append), model=str(tiny_pipeline(family)), num_images_per_prompt=2)
    assert [one["seed"] for one in drawn.result] == [7, 8]
    assert all(one.size == (64, 64) for one in drawn.pictures)
    steps = [(one.done, one.total) for one in told if one.phase == "steps"]
    assert steps[-1] == (3, 3)
    assert drawn.provenance.model == str(tiny_pipeline(family))


def test_same_seed_same_pixels(draws: Any) -> None:
    """A seed gives its picture again to the last bit, and another seed another picture."""
    first, again, other = draws(seed=3), draws(seed=3), draws(seed=4)
    assert first.pictures[0].image.tobytes() == again.pictures[0].image.tobytes()
    assert first.pictures[0].image.tobytes() != other.pictures[0].image.tobytes()


def test_a_picture_of_a_batch_can_be_had_alone(draws: Any, registry: Registry, difference: Any) -> None:
    """Each picture carries the settings that draw it again, alone."""
    batch = draws(num_images_per_prompt=3, scheduler="euler_ancestral").pictures
    alone = text_to_image(batch[2].settings, registry).pictures[0]
    assert (alone.seed, batch[2].seed) == (9, 9)
    assert difference(alone.image, batch[2].image) <= 2


def test_minus_one_draws_a_seed_and_shows_it(draws: Any) -> None:
    """The result names the seed that was drawn, in the picture and in the provenance."""
    drawn = draws(seed=-1, num_inference_steps=1)
    assert drawn.pictures[0].seed == drawn.provenance.seed
    assert drawn.pictures[0].seed >= 0


@pytest.mark.parametrize("step", [1, 2])
def test_a_stop_ends_within_a_step_and_frees_the_model(draws: Any, registry: Registry, step: int) -> None:
    """After a stop at step k no further step is taken, nobody borrows, and the next one draws at once."""
    token, told = CancelToken(), []

    def report(progress: Progress) -> None:
        if progress.phase == "steps":
            told.append(progress.done)
            if progress.done == step:
                token.cancel()

    with pytest.raises(Cancelled):
        draws(Watch(report=report, cancel=token), num_inference_steps=6)
    assert told == list(range(1, step + 1))
    assert {one.borrowed for one in registry.ledger()} == {0}
    assert draws(num_inference_steps=1).pictures


def test_finished_pictures_are_handed_on_before_a_stop(draws: Any) -> None:
    """What was finished when somebody stops is kept."""
    token, kept = CancelToken(), []

    def keep(picture: Any) -> None:
        kept.append(picture)
        token.cancel()

    with pytest.raises(Cancelled):
        draws(Watch(keep=keep, cancel=token), x_axis="seed", x_values="1, 2, 3")
    assert [one.seed for one in kept] == [1]


def test_a_long_prompt_is_told_what_is_cut(draws: Any) -> None:
    """Of 10,000 characters the model reads 77 tokens; the note quotes what it did not read."""
    prompt = "abcdefghij" * 1_000
    drawn = draws(prompt=prompt, num_inference_steps=1)
    (note,) = drawn.notes
    assert (note.key, note.values["read"]) == ("say.prompt_tokens_cut", 77)
    assert note.values["length"] == 10_002
    assert prompt[75:].startswith(note.values["cut"].rstrip("…"))
    assert str(note) in drawn.provenance.fallbacks


def test_the_part_that_is_read_decides(draws: Any) -> None:
    """The note tells the truth: what is cut does not change the picture."""
    read = "a " * 75
    first = draws(prompt=read + "b c d", num_inference_steps=1).pictures[0].image
    assert first.tobytes() == draws(prompt=read, num_inference_steps=1).pictures[0].image.tobytes()


def test_a_short_prompt_is_not_cut(draws: Any) -> None:
    """75 letters and the two special tokens fit."""
    assert draws(prompt="a" * 75, num_inference_steps=1).notes == ()


def test_a_negative_prompt_without_effect_is_told(draws: Any) -> None:
    """Without guidance, and on Flux, a negative prompt does nothing; the result says so."""
    without = draws(negative_prompt="blue", guidance_scale=1.0, num_inference_steps=1)
    flux = draws(negative_prompt="blue", model=str(tiny_pipeline("flux")), num_inference_steps=1)
    keys = [note.key for one in (without, flux) for note in one.notes]
    assert keys == ["say.negative_without_guidance", "say.negative_unknown"]


def test_a_wrong_size_is_explained(draws: Any) -> None:
    """63 pixels are refused with the multiple and its neighbours; Flux needs another multiple."""
    with pytest.raises(InvalidInput, match=r"multiple of 8.*56 / 64"):
        draws(width=63)
    with pytest.raises(InvalidInput, match=r"multiple of 16.*64 / 80"):
        draws(width=72, model=str(tiny_pipeline("flux")))


@pytest.mark.parametrize("steps", [0, 1_000, 2.5])
def test_wrong_steps_are_refused(steps: float) -> None:
    """No steps, too many and half ones are refused with the limits."""
    with pytest.raises(InvalidInput, match=r"num_inference_steps.*1.*200"):
        TextToImageSettings(prompt="x", num_inference_steps=steps)


def test_previews_become_the_picture(draws: Any) -> None:
    """Half-way a small picture is shown, of the finished one's proportions."""
    seen = []
    draws(Watch(show=lambda image, step: seen.append((image.size, step))), width=128)
    assert seen
    assert seen[0] == ((16, 8), 1)


def test_the_cost_is_told(draws: Any) -> None:
    """Predicted and measured memory stand beside the seconds of a step, with the planner's reasons."""
    drawn = draws()
    assert drawn.cost.predicted_bytes > 0
    assert drawn.cost.measured_bytes >= 300_000
    assert 0 < drawn.cost.seconds_per_step < drawn.cost.seconds
    assert drawn.reasons


def test_a_model_without_numbers_is_refused_in_words(
    draws: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Latents that are no numbers cannot be decoded by anything: the refusal says what to change."""
    import torch

    spec = TextToImageSettings(prompt="x", model=str(tiny_pipeline("sd"))).spec(registry, "text-to-image")
    with registry.borrow(spec) as model:
        unet = model.model.unet
        monkeypatch.delitem(model.kept, KEPT, raising=False)
        monkeypatch.setattr(unet, "forward", lambda sample, *_, **__: (torch.full_like(sample, torch.nan),))
        with pytest.raises(ModelError, match="NaN"):
            draws()
