"""Drawing as a job."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.events import Progress
from core.imaging.text_to_image import TextToImageSettings
from core.imaging.work import draw
from core.jobs.runner import Jobs, State
from core.models.registry import Registry
from core.pictures.recipe import read_recipe
from tests.serving import until


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """Give a line of jobs of its own."""
    return Jobs(tmp_path / "pictures")


def _start(jobs: Jobs, registry: Registry, settings: TextToImageSettings) -> str:
    return jobs.start("text-to-image", settings, partial(draw, settings=settings, registry=registry))


def test_a_job_leaves_pictures_with_recipes(jobs: Jobs, registry: Registry, quick: Any) -> None:
    """Each picture has its own recipe; the result names files, seeds, sizes, provenance, cost and reasons."""
    settings = TextToImageSettings(**quick(), prompt="a cat", num_images_per_prompt=2)
    job = _start(jobs, registry, settings)
    until(lambda: not jobs.state(job).alive)
    folder = jobs.result_folder(job)
    held = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert [(one["file"], one["seed"], one["width"]) for one in held["result"]] == [
        ("001.png", 7, 64),
        ("002.png", 8, 64),
    ]
    assert [read_recipe(folder / name).settings["seed"] for name in ("001.png", "002.png")] == [7, 8]
    assert set(held) == {"result", "provenance", "notes", "reasons", "cost"}
    assert sorted(one.name for one in folder.iterdir()) == ["001.png", "002.png", "result.json"]


def test_a_grid_leaves_its_sheet(jobs: Jobs, registry: Registry, quick: Any) -> None:
    """The contact sheet is a picture whose recipe draws the whole grid again."""
    settings = TextToImageSettings(**quick(), prompt="a cat", x_axis="guidance_scale", x_values="1, 5")
    job = _start(jobs, registry, settings)
    until(lambda: not jobs.state(job).alive)
    sheet = jobs.result_folder(job) / "sheet.png"
    assert read_recipe(sheet).settings["x_values"] == "1, 5"
    with Image.open(sheet) as image:
        assert image.width > 128


def test_a_stopped_job_keeps_what_is_finished(jobs: Jobs, registry: Registry, quick: Any) -> None:
    """Pictures that were done before the stop stay, readable, without a result."""
    settings = TextToImageSettings(
        **quick(), prompt="a cat", x_axis="seed", x_values=",".join(str(one) for one in range(40))
    )
    job = _start(jobs, registry, settings)
    first = jobs.result_folder(job) / "001.png"
    until(first.exists)
    jobs.stop(job)
    until(lambda: not jobs.state(job).alive)
    assert jobs.state(job) is State.CANCELLED
    files = sorted(one.name for one in jobs.result_folder(job).iterdir())
    assert "001.png" in files
    assert "result.json" not in files
    assert "preview.jpg" not in files
    assert len(files) < 40


def test_steps_are_told(jobs: Jobs, registry: Registry, quick: Any) -> None:
    """The job's last progress is its last step."""
    job = _start(jobs, registry, TextToImageSettings(**quick(), prompt="a cat"))
    until(lambda: not jobs.state(job).alive)
    progress = jobs.view(job).progress
    assert isinstance(progress, Progress)
    assert (progress.phase, progress.done, progress.total) == ("steps", 3, 3)
