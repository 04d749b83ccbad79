"""The code under a picture is run as a reader would run it, and gives the same picture."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image, ImageDraw

from core.atelier import open_atelier
from core.imaging.controlnet import ControlNetSettings, controlnet
from core.imaging.image_to_image import ImageToImageSettings, image_to_image
from core.imaging.inpainting import InpaintingSettings, inpainting
from core.imaging.pictures import Drawn
from core.imaging.text_to_image import TextToImageSettings, text_to_image
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import Settings
from core.snippets import PictureCode, picture_python, pictures_markdown
from core.snippets.imaging import client_python, pictures_curl
from core.snippets.picture_calls import CONDITION_FILE
from tests.fakes.pipelines import tiny_controlnet, tiny_depth, tiny_inversion, tiny_lora, tiny_pipeline

TOLERANCE = 2
"""Levels of 255: convolutions laid out for the processor round differently from plain ones."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SKILLS: Mapping[str, Any] = {
    "text-to-image": (TextToImageSettings, text_to_image),
    "image-to-image": (ImageToImageSettings, image_to_image),
    "inpainting": (InpaintingSettings, inpainting),
    "controlnet": (ControlNetSettings, controlnet),
}
SHORT = {"prompt": 'a "red"\nheart', "num_inference_steps": 3, "seed": 11}
CASES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("text-to-image", "sd", {"negative_prompt": "blue", "guidance_scale": 7.5}),
    ("text-to-image", "sd", {"scheduler": "dpmpp_2m_karras", "width": 96, "height": 64}),
    ("text-to-image", "sd", {"scheduler": "euler_ancestral", "guidance_scale": 1.0, "attention_slicing": "on"}),
    ("text-to-image", "sd", {"num_images_per_prompt": 2, "vae_slicing": "on"}),
    ("text-to-image", "sdxl", {"scheduler": "dpmpp_2m_sde"}),
    ("text-to-image", "sd3", {"scheduler": "flow_heun"}),
    ("text-to-image", "flux", {}),
    ("image-to-image", "sd", {"image": "wide.png", "strength": 0.7}),
    ("image-to-image", "sd", {"image": "wide.png", "strength": 0.0}),
    ("image-to-image", "flux", {"image": "wide.png", "strength": 1.0}),
    ("inpainting", "sd", {"image": "square.png", "mask": "mask.png", "mask_blur": 2}),
    ("inpainting", "sdxl", {"image": "square.png", "mask": "painted.png", "width": 64, "height": 64}),
    ("inpainting", "sd", {"image": "wide.png", "mask": "wide-mask.png", "strength": 0.8}),
    ("controlnet", "sd", {"image": "square.png", "condition": "canny", "control_guidance_end": 0.7}),
    ("controlnet", "sdxl", {"image": "wide.png", "condition": "scribble", "controlnet_conditioning_scale": 0.5}),
    ("controlnet", "sd", {"image": "square.png", "condition": "as_is"}),
    ("controlnet", "sd", {"image": "wide.png", "condition": "depth"}),
    ("text-to-image", "sd", {"loras": True, "textual_inversions": True}),
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give the registry of a local instance."""
    return open_atelier(Settings()).registry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with uploads, and run in it."""
    for name, size in (("wide", (96, 64)), ("square", (64, 64))):
        image = Image.effect_noise(size, 40).convert("RGB")
        ImageDraw.Draw(image).ellipse((12, 12, 50, 50), fill="red", outline="white", width=3)
        image.save(tmp_path / f"{name}.png")
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).rectangle((10, 10, 40, 40), fill=255)
    mask.save(tmp_path / "mask.png")
    mask.resize((96, 64)).save(tmp_path / "wide-mask.png")
    painted = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    painted.paste((90, 90, 90, 255), (10, 10, 40, 40))
    painted.save(tmp_path / "painted.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(kind: str, family: str, values: Mapping[str, Any]) -> Any:
    """Return the settings of one case; uploads by their whole path, as the page hands them over."""
    paths = {name: str(Path.cwd() / values[name]) for name in ("image", "mask") if name in values}
    network = {"controlnet": str(tiny_controlnet(family))} if kind == "controlnet" else {}
    if values.get("condition") == "depth":
        network["condition_model"] = str(tiny_depth())
    over = {}
    if "loras" in values:
        over = {"loras": f"{tiny_lora(family)}:0.75", "textual_inversions": f"{tiny_inversion()}:<toy>"}
        over["prompt"] = "a <toy>"
    return SKILLS[kind][0](**{**SHORT, "model": str(tiny_pipeline(family)), **network, **values, **paths, **over})


def code_of(kind: str, settings: Any, drawn: Drawn, number: int = 0) -> PictureCode:
    """Return what the page knows of one picture of a result."""
    picture = drawn.pictures[number]
    request = replace(settings, seed=drawn.pictures[0].seed)
    return PictureCode(kind, request, picture.settings, picture.size, drawn.provenance)


def run(program: str) -> np.ndarray:
    """Run a program and return the picture that it saves."""
    exec(compile(program, "snippet", "exec"), {"__name__": "__main__"})  # noqa: S102 what the reader does
    with Image.open("picture.png") as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


@pytest.mark.parametrize(("kind", "family", "values"), CASES)
def test_plain_diffusers_draws_the_same_picture(
    registry: Registry, folder: Path, kind: str, family: str, values: Mapping[str, Any]
) -> None:
    """Pasted into Python, the code draws what Atelier has drawn, to the pixel, whatever kind, family and scheduler."""
    settings = asked(kind, family, values)
    drawn = SKILLS[kind][1](settings, registry)
    if drawn.condition:
        drawn.condition.save(CONDITION_FILE)
    last = len(drawn.pictures) - 1
    program = picture_python(code_of(kind, settings, drawn, last))
    difference = np.abs(run(program) - np.asarray(drawn.pictures[last].image).astype(int))
    assert difference.max() <= TOLERANCE
    assert str(folder) not in program
    assert imported(program) <= {"torch", "diffusers", "diffusers.utils", "PIL", "cv2", "numpy"}


def imported(program: str) -> set[str]:
    """Return the modules that a program imports."""
    nodes = list(ast.walk(ast.parse(program)))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


# What is written, without a model


DRAWN = TextToImageSettings(
    prompt="it's ```red```", model="org/sd@main", scheduler="euler", seed=5, loras="org/style:0.5, starter/emoji-lora"
)
RAN = Provenance(
    "org/sd", COMMIT, f"org/style@{COMMIT}:0.5, starter/emoji-lora@1f00ba12:1", "cuda:0", "float16", "sdpa", 5, 1.0
)
CODE = PictureCode("text-to-image", DRAWN, DRAWN, (512, 768), RAN)


def test_a_model_of_the_hub_is_pinned() -> None:
    """Model and adapters are named at the commits that drew, starters by their folder; device and dtype are those."""
    program = picture_python(CODE)
    assert f'AutoPipelineForText2Image.from_pretrained(\n    "org/sd",\n    revision="{COMMIT}",' in program
    assert f'pipeline.load_lora_weights(\n    "org/style",\n    revision="{COMMIT}",' in program
    assert '"assets/starters/emoji-lora"' in program
    assert 'pipeline.set_adapters(["adapter_0", "adapter_1"], [0.5, 1.0])' in program
    assert 'pipeline.to("cuda:0")' in program
    assert "dtype=torch.float16" in program
    assert 'torch.Generator("cpu").manual_seed(5)' in program


def test_the_panel_has_diffusers_client_and_curl() -> None:
    """Three blocks that no prompt can close, each whole; client and curl ask for the request with the seed it had."""
    blocks = [
        token for token in MarkdownIt().parse(pictures_markdown(CODE, "http://127.0.0.1:7860")) if token.type == "fence"
    ]
    assert [block.info for block in blocks] == ["python", "python", "bash"]
    _, client, curl = (block.content for block in blocks)
    assert called(client) == {
        "prompt": DRAWN.prompt,
        "model": "org/sd@main",
        "scheduler": "euler",
        "seed": 5,
        "loras": DRAWN.loras,
        "api_name": "/text_to_image",
    }
    assert "/gradio_api/call/v2/text_to_image" in curl
    assert '"seed": 5' in curl


def test_uploads_go_first(tmp_path: Path) -> None:
    """Picture and mask are files of the reader's, by their own names, for the client and for curl."""
    settings = InpaintingSettings(prompt="a", image=str(tmp_path / "cat.png"), mask=str(tmp_path / "m.png"), seed=3)
    asked_for = PictureCode("inpainting", settings, settings, (64, 64), RAN)
    program = client_python(asked_for, "http://127.0.0.1:7860", user="atelier")
    assert 'image=handle_file("cat.png")' in program
    assert 'mask=handle_file("m.png")' in program
    assert 'auth=("atelier", os.environ["ATELIER_PASSWORD"])' in program
    curl = pictures_curl(asked_for, "http://127.0.0.1:7860", user="atelier")
    assert [line.split("=")[0] for line in curl.splitlines()[:6]][-2:] == ["MASK", "EVENT"]
    assert '"image": {"path": "\'"$IMAGE"\'"' in curl
    assert str(tmp_path) not in program + curl


def called(program: str) -> dict[str, Any]:
    """Return the keywords of the program's call of `predict`."""
    calls = (node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call))
    predict = next(one for one in calls if ast.unparse(one.func) == "client.predict")
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in predict.keywords}
