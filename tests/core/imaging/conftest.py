"""One registry for all tests of pictures: a tiny pipeline is loaded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.atelier import open_atelier
from core.imaging.pictures import Drawn, Watch
from core.imaging.text_to_image import TextToImageSettings, text_to_image
from core.models.registry import Registry
from core.settings import Settings
from tests.fakes.pipelines import tiny_pipeline

Draws = Callable[..., Drawn]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Give a real registry, with room for every tiny pipeline."""
    return open_atelier(Settings(home=tmp_path_factory.mktemp("imaging"))).registry


@pytest.fixture(scope="session")
def draws(registry: Registry) -> Draws:
    """Give a short way to draw: three steps on the tiny Stable Diffusion unless the test says otherwise."""

    def draw(watch: Watch | None = None, **values: Any) -> Drawn:
        return text_to_image(TextToImageSettings(**{**usual(), "prompt": "a red cat", **values}), registry, watch)

    return draw


def usual(family: str = "sd") -> dict[str, Any]:
    """Return settings of a small drawing, the same for every skill."""
    return {"model": str(tiny_pipeline(family)), "num_inference_steps": 3, "seed": 7, "width": 64, "height": 64}


@pytest.fixture
def quick() -> Callable[..., dict[str, Any]]:
    """Give `usual` to tests of other skills."""
    return usual


@pytest.fixture(scope="session")
def difference() -> Callable[[Any, Any], int]:
    """Give the largest difference between two pictures, in levels of 255."""
    return largest_difference


def largest_difference(first: Any, second: Any) -> int:
    """Return by how much the most different value of two pictures differs."""
    return int(np.abs(np.asarray(first, dtype=int) - np.asarray(second, dtype=int)).max())


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Write a picture with edges, colours and a gradient: 96 x 80 pixels."""
    from PIL import Image, ImageDraw

    image = Image.linear_gradient("L").resize((96, 80)).convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 15, 70, 65), fill="orange")
    pen.rectangle((60, 50, 90, 75), fill="navy")
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"
