"""The text that AUTOMATIC1111's web UI writes: read as it does, written so that it can."""

from __future__ import annotations

import pytest

from core.imaging.schedulers import SCHEDULERS
from core.pictures.parameters import SAMPLERS, parameters_text, read_parameters

WEB_UI = """a cat, (masterpiece:1.2), <lora:org/style:0.8> by the sea
second line <lora:pixelArt:1>
Negative prompt: blurry,
low quality
Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890, Size: 512x768, Model hash: abc123, \
Model: dreamshaper_8, Denoising strength: 0.45, Clip skip: 2, Lora hashes: "pixelArt: 1, other: 2", Version: v1.6.0"""
"""As that program writes it: modules/processing.py, create_infotext."""


def test_a_text_of_the_web_ui_gives_its_settings() -> None:
    """Prompts of several lines, sampler, sizes, strength and adapters come under our names; the rest is told."""
    read = read_parameters(WEB_UI)
    assert read is not None
    assert read.kind == "image-to-image"
    assert read.settings == {
        "prompt": "a cat, (masterpiece:1.2), by the sea\nsecond line",
        "negative_prompt": "blurry,\nlow quality",
        "num_inference_steps": 30,
        "scheduler": "dpmpp_2m_karras",
        "guidance_scale": 7.5,
        "seed": 1234567890,
        "width": 512,
        "height": 768,
        "strength": 0.45,
        "loras": "org/style:0.8",
    }
    told = " ".join(map(str, read.notes))
    assert all(name in told for name in ("dreamshaper_8", "pixelArt", "Clip skip", "another tool", "weighs words"))
    assert not any(name in told for name in ("Model hash", "Version", "Lora hashes", "Seed"))


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("Sampler: Euler a", "euler_ancestral"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "dpmpp_2m_karras"),
        ("Sampler: DPM++ 2M, Schedule type: Karras", "dpmpp_2m_karras"),
        ("Sampler: DPM++ 2M, Schedule type: Uniform", "dpmpp_2m"),
        ("Sampler: DPM++ 2M", "dpmpp_2m"),
        ("Sampler: DPM++ 2M SDE Karras", "dpmpp_2m_sde_karras"),
        ("Sampler: PLMS", "pndm"),
        ("Sampler: Euler, Schedule type: Simple", "flow_euler"),
        ("Sampler: Euler, Schedule type: Automatic", "euler"),
        ("Sampler: DPM adaptive", None),
    ],
)
def test_samplers_are_schedulers(sampler: str, scheduler: str | None) -> None:
    """A sampler with its schedule, written the old way or the new, is one of our schedulers, or told as unknown."""
    read = read_parameters(f"a cat\nSteps: 20, {sampler}, CFG scale: 7, Seed: 1")
    assert read is not None
    assert read.settings.get("scheduler") == scheduler
    assert ("Sampler" in str(read.notes[-1])) == (scheduler is None)


def test_a_schedule_that_we_do_not_have_is_told() -> None:
    """The sampler is taken over, the unknown schedule named."""
    read = read_parameters("a cat\nSteps: 20, Sampler: Euler, Schedule type: Exponential, CFG scale: 7, Seed: 1")
    assert read is not None
    assert read.settings["scheduler"] == "euler"
    assert "Schedule type" in str(read.notes[-1])


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_comes_back(name: str) -> None:
    """What is written for a scheduler is read as that scheduler."""
    text = parameters_text({"prompt": "a", "num_inference_steps": 3, "seed": 1, "scheduler": name}, 64, 64)
    read = read_parameters(text)
    assert read is not None
    assert read.settings["scheduler"] == name
    assert not any("Schedule type" in str(note) for note in read.notes)
    assert set(SAMPLERS) == set(SCHEDULERS)


SETTINGS = {
    "prompt": 'a "cat": red, blue\nand <so> on',
    "negative_prompt": "blurry: very\n\nNegative space",
    "num_inference_steps": 12,
    "guidance_scale": 4.5,
    "seed": 2**32 - 1,
    "model": 'org/name, "quoted": 1',
    "loras": "starter/emoji-lora:0.75, org/two:1",
    "strength": 0.6,
}


def test_what_is_written_is_read() -> None:
    """Prompts with lines, quotes and colons, adapters with their weights, and a name with commas come back."""
    read = read_parameters(parameters_text(SETTINGS, 640, 512))
    assert read is not None
    assert read.settings == {**SETTINGS, "width": 640, "height": 512}
    assert read.kind == "image-to-image"


def test_a_mask_means_inpainting_and_enlarging_no_image_to_image() -> None:
    """The kind of picture is told by what only that kind has."""
    plain = "a\nSteps: 1, Seed: 2, CFG scale: 3, Denoising strength: 0.5"
    kinds = [read_parameters(text) for text in (plain, f"{plain}, Mask blur: 4", f"{plain}, Hires upscale: 2")]
    assert [one.kind for one in kinds if one] == ["image-to-image", "inpainting", "text-to-image"]


@pytest.mark.parametrize("text", ["", "a photo, taken at sea: lovely", "{'prompt': 3}", '{"a": 1, "b": 2}', "\n\n"])
def test_a_text_without_settings_is_none(text: str) -> None:
    """A title or a description is no recipe."""
    assert read_parameters(text) is None


def test_a_prompt_whose_settings_are_gone_is_still_one() -> None:
    """With a negative prompt and no settings, both prompts are read."""
    read = read_parameters("a cat\nNegative prompt: a dog\nSteps: 20")
    assert read is not None
    assert read.settings == {"prompt": "a cat", "negative_prompt": "a dog\nSteps: 20"}


def test_numbers_that_are_none_are_told() -> None:
    """A seed in words, steps beyond counting or an infinite scale is not taken over."""
    read = read_parameters(f"a\nSteps: {'9' * 5_000}, Seed: x, CFG scale: inf, Size: 0x, Mask blur: 1")
    assert read is not None
    assert read.settings == {"prompt": "a", "negative_prompt": "", "mask_blur": 1}
    assert str(read.notes[-1]).endswith("Steps, Seed, CFG scale, Size.")


@pytest.mark.parametrize("piece", ['a: "b, ', "a" * 50, "(:", "[:", "<lora:", "(a:1", "1 :", ",", 'a:"\\', "\n", "["])
def test_a_long_text_is_read_as_a_short_one(piece: str) -> None:
    """Signs that keep a careless pattern busy for hours, half a million of them, are prompt like any other."""
    long = piece * (500_000 // len(piece))
    read = read_parameters(f"{long}\nSteps: 1, Seed: 2, CFG scale: 3")
    assert read is not None
    assert read.settings["prompt"] == long.strip()
    assert read.settings["seed"] == 2
    assert read_parameters(long.replace("\n", " ")) is None
