"""Pictures that keep the lines, depths or poses of another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput, ModelError
from core.imaging.conditions import SURE, stick_figure
from core.imaging.controlnet import ControlNetSettings, controlnet
from core.models.registry import Registry
from tests.fakes.pipelines import tiny_controlnet, tiny_depth, tiny_pipeline, tiny_pose


@pytest.fixture
def settings(photo: Path, quick: Any) -> Any:
    """Give a short way to settings of the tiny ControlNet."""

    def make(**values: Any) -> ControlNetSettings:
        usual = {**quick(), "prompt": "a cat", "image": str(photo), "controlnet": str(tiny_controlnet("sd"))}
        return ControlNetSettings(**{**usual, **values})

    return make


@pytest.mark.parametrize("condition", ["canny", "scribble", "as_is"])
def test_a_condition_leads(registry: Registry, settings: Any, condition: str) -> None:
    """Another strength is another picture, and at 0 the condition does not matter; what was shown is in the result."""
    drawn = [
        controlnet(settings(condition=condition, controlnet_conditioning_scale=scale), registry) for scale in (0.0, 1.0)
    ]
    without, led = (np.asarray(one.pictures[0].image, int) for one in drawn)
    plain = controlnet(settings(condition="as_is", controlnet_conditioning_scale=0.0), registry)
    assert np.array_equal(without, np.asarray(plain.pictures[0].image, int))
    assert np.abs(led - without).mean() > 1
    assert drawn[1].condition.size == (96, 80)
    assert str(tiny_controlnet("sd")) in drawn[1].provenance.adapter


def test_canny_is_opencv_s(registry: Registry, settings: Any, photo: Path) -> None:
    """Edges are white on black, where OpenCV finds them with the thresholds asked for."""
    import cv2

    grey = cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE)
    asked = settings(low_threshold=50, high_threshold=120, num_inference_steps=1)
    found = np.asarray(controlnet(asked, registry).condition.convert("L"))
    expected = cv2.Canny(grey, 50, 120)
    assert (found == expected).mean() > 0.99  # Pillow and OpenCV round greys differently
    assert found.any()


def test_depths_are_found_by_a_model(registry: Registry, settings: Any) -> None:
    """A depth model is borrowed and given back: near is white, far is black, at the picture's size."""
    asked = settings(condition="depth", condition_model=str(tiny_depth()), num_inference_steps=1)
    found = np.asarray(controlnet(asked, registry).condition)
    assert found.shape == (80, 96, 3)
    assert (found.min(), found.max()) == (0, 255)
    assert {one.borrowed for one in registry.ledger()} == {0}


def test_poses_are_found_by_a_model(registry: Registry, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pose model is asked about the whole picture; one that is sure of nothing is told, of everything is drawn."""
    from core.imaging import conditions

    asked = settings(condition="pose", condition_model=str(tiny_pose()), num_inference_steps=1)
    monkeypatch.setattr(conditions, "SURE", 1e9)
    with pytest.raises(InvalidInput, match="No person"):
        controlnet(asked, registry)
    monkeypatch.setattr(conditions, "SURE", -1e9)
    assert np.asarray(controlnet(asked, registry).condition).any()


def test_a_picture_without_edges_is_refused(registry: Registry, settings: Any, tmp_path: Path) -> None:
    """One grey has no edge; the refusal says what to change."""
    from PIL import Image

    Image.new("RGB", (64, 64), "grey").save(tmp_path / "grey.png")
    with pytest.raises(InvalidInput, match="no edge"):
        controlnet(settings(image=str(tmp_path / "grey.png")), registry)


def test_stable_diffusion_xl_is_led_too(registry: Registry, settings: Any) -> None:
    """A ControlNet for XL leads a pipeline of XL."""
    names = {"model": str(tiny_pipeline("sdxl")), "controlnet": str(tiny_controlnet("sdxl"))}
    assert controlnet(settings(**names, num_images_per_prompt=2), registry).pictures


def test_a_controlnet_of_another_family_is_refused(registry: Registry, settings: Any) -> None:
    """A ControlNet for XL beside version 1, and one beside Flux, are refused in words."""
    with pytest.raises(ModelError, match="made for"):
        controlnet(settings(controlnet=str(tiny_controlnet("sdxl"))), registry)
    with pytest.raises(ModelError, match="made for"):
        controlnet(settings(model=str(tiny_pipeline("sd3"))), registry)


@pytest.mark.parametrize(
    "values",
    [
        {"control_guidance_start": 0.5, "control_guidance_end": 0.5},
        {"low_threshold": 200, "high_threshold": 100},
        {"controlnet_conditioning_scale": 3},
        {"condition": "sketch"},
    ],
)
def test_settings_that_contradict_are_refused(settings: Any, values: dict[str, Any]) -> None:
    """An end before its beginning, thresholds that cross, and values outside the limits are told."""
    with pytest.raises(InvalidInput):
        settings(**values)


def test_a_stick_figure_joins_what_is_sure() -> None:
    """Arms and legs are drawn between sure keypoints only; a picture without a person is refused."""
    points = [[10.0 + 5 * place, 50.0] for place in range(17)]
    figure = np.asarray(stick_figure((120, 100), points, [0.9] * 17))
    assert figure[50].any()
    assert not figure[:30].any()
    with pytest.raises(InvalidInput, match="No person"):
        stick_figure((120, 100), points, [SURE / 2] * 17)
