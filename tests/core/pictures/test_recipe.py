"""The recipe inside a PNG: what is written comes back, whole, and what others have put there harms nobody."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.errors import BadFile
from core.imaging.controlnet import ControlNetSettings
from core.imaging.image_to_image import ImageToImageSettings
from core.imaging.inpainting import InpaintingSettings
from core.imaging.text_to_image import TextToImageSettings
from core.pictures.recipe import LARGEST_NUMBER, Recipe, read_recipe, recipe_of, settings_of, write_png
from core.provenance import Provenance

TOKEN = "hf_" + "aB3dE6gH9jK2mN5p" * 2
RAN = Provenance("starter/emoji", "main", "org/style@abc", "cpu", "float32", "sdpa", 7, 1.5, ("VAE again in fp32",))
ASKED = TextToImageSettings(
    prompt='A "red" heart, 紅心 ❤:\nsecond line \ud83d',
    negative_prompt="blurry",
    model="starter/emoji",
    scheduler="dpmpp_2m_karras",
    num_inference_steps=12,
    guidance_scale=4.5,
    width=64,
    height=128,
    seed=2**32 - 1,
    loras="org/style:0.5, starter/emoji-lora",
    textual_inversions="org/word:<w>",
    dtype="float32",
    attention_slicing="on",
    vae_tiling="off",
    offload="none",
)
KINDS: dict[str, Any] = {
    "text-to-image": ASKED,
    "image-to-image": ImageToImageSettings(prompt="a", image="/x/cat.png", strength=0.3, seed=1),
    "inpainting": InpaintingSettings(prompt="a", image="/x/cat.png", mask="/x/mask.png", mask_blur=9, seed=1),
    "controlnet": ControlNetSettings(
        prompt="a", image="cat.png", condition="pose", low_threshold=210, high_threshold=250, seed=1
    ),
}


def drawn(path: Path, recipe: Recipe, size: tuple[int, int] = (8, 6)) -> Path:
    """Write a picture of noise with a recipe."""
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    write_png(path, Image.fromarray(pixels), recipe)
    return path


def foreign(path: Path, **texts: str) -> Path:
    """Write a PNG with texts of others."""
    held = PngInfo()
    for keyword, text in texts.items():
        held.add_itxt(keyword, text)
    Image.new("RGB", (5, 5)).save(path, pnginfo=held)
    return path


def own(path: Path, content: Any) -> Path:
    """Write a PNG whose text claims to be ours."""
    return foreign(path, atelier=content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_comes_back(tmp_path: Path, kind: str) -> None:
    """Each field of each kind of picture is restored from the PNG; an upload is named and must be given again."""
    settings = KINDS[kind]
    recipe = read_recipe(drawn(tmp_path / "a.png", recipe_of(kind, settings, RAN, {"seed": "7"})))
    restored = settings_of(recipe, type(settings), kind)
    uploads = [name for name in ("image", "mask") if hasattr(settings, name)]
    assert restored.settings == {**asdict(settings), **dict.fromkeys(uploads, "")}
    assert [note.values["field"] for note in restored.notes] == uploads
    assert (recipe.kind, recipe.width, recipe.height, recipe.labels) == (kind, 8, 6, {"seed": "7"})
    assert recipe.provenance == RAN.as_dict()
    assert recipe.versions["diffusers"]


def test_the_pixels_are_untouched(tmp_path: Path) -> None:
    """The recipe lies beside the picture; every pixel is as it was, and any program opens it."""
    pixels = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    with Image.open(drawn(tmp_path / "a.png", recipe_of("text-to-image", ASKED))) as opened:
        assert np.array_equal(np.asarray(opened), pixels)
        assert opened.format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_other_tools_read_the_settings(tmp_path: Path) -> None:
    """Without our own text, what is left is what AUTOMATIC1111's web UI would read: it gives the same settings."""
    asked = replace(ASKED, prompt="a red heart", textual_inversions="", loras="org/style:0.5")
    with Image.open(drawn(tmp_path / "a.png", recipe_of("text-to-image", asked), (64, 128))) as opened:
        text = opened.info["parameters"]
    restored = settings_of(read_recipe(foreign(tmp_path / "b.png", parameters=text)), TextToImageSettings)
    ours = {"dtype", "attention_slicing", "vae_tiling", "offload"}
    same = {name for name, value in restored.settings.items() if value == getattr(asked, name)}
    assert same == {field.name for field in fields(asked)} - ours
    assert [note.key for note in restored.notes] == ["say.recipe_of_another_tool"]


def test_no_folder_and_no_secret_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is shared tells neither where something lay on this machine, nor a token."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    asked = ControlNetSettings(
        prompt=f"a {TOKEN}",
        image="C:\\Users\\grace\\cat.png",
        model="/home/grace/models/sd",
        controlnet="~/nets/edges",
        condition_model="./depth",
        loras="/home/grace/style:0.5, org/other, C:\\Users\\grace\\third",
    )
    ran = replace(RAN, model="/home/grace/models/sd", adapter="/home/grace/style@12, org/other@34")
    path = drawn(tmp_path / "a.png", recipe_of("controlnet", asked, ran))
    assert not any(sign in path.read_bytes() for sign in (b"grace", b"nets", b"Users", TOKEN.encode()))
    recipe = read_recipe(path)
    assert (recipe.settings["image"], recipe.settings["model"]) == ("cat.png", "sd")
    assert recipe.settings["loras"] == "style:0.5, org/other, third"
    assert (recipe.provenance["model"], recipe.provenance["adapter"]) == ("sd", "style@12, org/other@34")


def test_another_kind_takes_what_both_have() -> None:
    """From text to image to another kind, what both have goes along without a word on the rest."""
    restored = settings_of(recipe_of("text-to-image", ASKED), InpaintingSettings, "inpainting")
    assert restored.settings["prompt"] == ASKED.prompt
    assert (restored.settings["mask_blur"], restored.settings["mask"]) == (4, "")
    assert restored.notes == ()


def test_a_setting_of_a_later_version_is_named() -> None:
    """What this version has no field for is told, not dropped without a word."""
    later = Recipe("text-to-image", {"prompt": "a", "moonlight": 3})
    told = settings_of(later, TextToImageSettings, "text-to-image").notes
    assert "moonlight" in str(told[0])


def test_a_value_beyond_the_limits_is_left_out_alone() -> None:
    """Of foreign values only those that break a limit keep their usual value, and are named."""
    strange = Recipe("text-to-image", {"prompt": "a", "num_inference_steps": 999_999, "seed": 5, "scheduler": "none"})
    restored = settings_of(strange, TextToImageSettings)
    usual = TextToImageSettings(prompt="a", seed=5)
    assert restored.settings == asdict(usual)
    assert str(restored.notes[0]).endswith("num_inference_steps, scheduler.")


def test_values_that_only_fit_together_are_both_taken() -> None:
    """Two thresholds above the usual ones are restored, though each alone contradicts the other's usual value."""
    both = {"low_threshold": 220, "high_threshold": 250, "num_inference_steps": -1}
    restored = settings_of(Recipe("controlnet", both), ControlNetSettings)
    assert [restored.settings[name] for name in both] == [220, 250, 20]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", 5),
        ("prompt", None),
        ("prompt", "x" * 20_001),
        ("model", True),
        ("model", "x" * 2_001),
        ("seed", "5"),
        ("seed", 1.5),
        ("seed", True),
        ("width", LARGEST_NUMBER),
        ("guidance_scale", "inf"),
        ("device", 0),
        ("loras", "a:9"),
    ],
)
def test_a_value_of_the_wrong_type_is_left_out(name: str, value: Any) -> None:
    """A text for a number, a number for a text, or one of absurd length keeps the usual value and is named."""
    restored = settings_of(Recipe("text-to-image", {"negative_prompt": "b", name: value}), TextToImageSettings)
    usual = {field.name: field.default for field in fields(TextToImageSettings)} | {"prompt": ""}
    assert restored.settings == {**usual, "negative_prompt": "b"}
    assert name in str(restored.notes[0])


GOOD = {"kind": "text-to-image", "settings": {"prompt": "a"}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"a":' * 100_000,
        {**GOOD, "kind": "training"},
        {**GOOD, "kind": ["text-to-image"]},
        {**GOOD, "settings": [1]},
        {**GOOD, "settings": {"prompt": {"deep": [1]}}},
        {**GOOD, "settings": {"prompt": ["a"]}},
        {**GOOD, "settings": {"../../etc": "a"}},
        {**GOOD, "settings": {"x" * 61: "a"}},
        {**GOOD, "settings": {f"a{number}": 1 for number in range(201)}},
        {**GOOD, "settings": {"seed": 10**4000}},
        '{"kind": "text-to-image", "settings": {"seed": NaN}}',
        '{"kind": "text-to-image", "settings": {"seed": 1e999}}',
        f'{{"kind": "text-to-image", "settings": {{"seed": {"9" * 5000}}}}}',
        {**GOOD, "provenance": {"seed": {}}},
        {**GOOD, "provenance": {"fallbacks": "all"}},
        {**GOOD, "labels": {"seed": []}},
        {**GOOD, "versions": 5},
    ],
)
def test_a_hostile_recipe_is_refused_in_words(tmp_path: Path, content: Any) -> None:
    """Text that is no JSON, nests without end, or holds other types than settings is refused by the file's name."""
    with pytest.raises(BadFile, match=r"evil\.png.*makes no sense"):
        read_recipe(own(tmp_path / "evil.png", content))


def test_a_huge_recipe_is_refused(tmp_path: Path) -> None:
    """A text larger than any recipe is not even read."""
    with pytest.raises(BadFile, match=r"evil\.png.*larger than 1\.0 MB"):
        read_recipe(own(tmp_path / "evil.png", "x" * 1_000_001))


def test_the_longest_prompts_fit(tmp_path: Path) -> None:
    """Two prompts at their limit, in letters that take most room, are written and read."""
    long = TextToImageSettings(prompt="😀" * 20_000, negative_prompt="紅" * 20_000)
    read = read_recipe(drawn(tmp_path / "a.png", recipe_of("text-to-image", long)))
    assert read.settings["prompt"] == long.prompt


def test_what_lies_in_a_picture_of_another_tool_is_told(tmp_path: Path) -> None:
    """A picture without a recipe, and ComfyUI's graph, are refused, each in its own words."""
    with pytest.raises(BadFile, match="holds no recipe"):
        read_recipe(foreign(tmp_path / "a.png", Title="A cat", parameters="a photo of my cat"))
    with pytest.raises(BadFile, match="ComfyUI"):
        read_recipe(foreign(tmp_path / "a.png", prompt='{"3": {}}', workflow="{}"))


def test_a_graph_beside_settings_does_not_matter(tmp_path: Path) -> None:
    """Some nodes of ComfyUI write the shared text, too: then it is read."""
    text = "a cat\nSteps: 20, Seed: 4, CFG scale: 7"
    both = foreign(tmp_path / "a.png", prompt="{}", workflow="{}", parameters=text)
    assert read_recipe(both).settings["seed"] == 4
