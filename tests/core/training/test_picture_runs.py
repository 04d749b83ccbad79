"""A LoRA for pictures that was trained here draws as a pipeline, as a LoRA by name, and merged: all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.imaging.text_to_image import TextToImageSettings, text_to_image
from core.models.registry import Registry
from core.training.merge import merge_run
from core.training.pictures import samples
from core.training.run import train_here
from core.training.settings import write_settings
from tests.core.training.finished import registry_at
from tests.core.training.pictures.lessons import settings
from tests.core.training.test_opening_pictures import zipped
from tests.core.training.tiny import job_at
from tests.fakes.pipelines import tiny_pipeline

NAME = "a" * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny pipeline once."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "STEPS", 1)
        job = job_at(home / "runs" / NAME)
        chosen = settings(
            file=str(zipped(home)), model=str(tiny_pipeline("sd")), validation_fraction=0.34, name="hues", r=4
        )
        write_settings(chosen, job.folder)
        train_here(job)
        job.close()
    return home


def drawn(registry: Registry, **asked: Any) -> Any:
    """Return the numbers of a small picture, and what ran."""
    import numpy as np

    usual = {"prompt": "a red square", "num_inference_steps": 2, "width": 64, "height": 64, "seed": 3}
    found = text_to_image(TextToImageSettings(**{**usual, **asked}), registry)
    return np.asarray(found.pictures[0].image).astype(int), found.provenance


def test_one_name_three_ways(home: Path) -> None:
    """By its name, over its base, and from the merged folder the pictures agree, and the base draws another."""
    registry, base = registry_at(home), str(tiny_pipeline("sd"))
    by_name, provenance = drawn(registry, model="run/hues")
    laid_over, _ = drawn(registry, model=base, loras="run/hues")
    plain, _ = drawn(registry, model=base)
    merged = merge_run("run/hues", registry)
    from_folder, _ = drawn(registry, model=str(merged.folder))
    assert abs(by_name - laid_over).max() <= 2
    assert abs(by_name - from_folder).max() <= 2
    assert abs(by_name - plain).max() > 4
    assert provenance.model == "run/hues"
    assert provenance.lineage[-1] == f"run/hues@{NAME[:12]}"
    assert merged.verdict.moved > 100 * merged.verdict.difference


def test_a_lora_lies_over_a_run(home: Path) -> None:
    """Others can still be laid over it for one drawing, and it is as it was afterwards."""
    registry = registry_at(home)
    before, _ = drawn(registry, model="run/hues")
    twice, _ = drawn(registry, model="run/hues", loras="run/hues")
    after, _ = drawn(registry, model="run/hues")
    assert abs(before - twice).max() > 4
    assert (before == after).all()
