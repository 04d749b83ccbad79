"""Trainings of tiny pipelines, and the pictures that they learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.training.pictures import samples
from core.training.pictures.studio import open_studio
from tests.core.training.pictures.lessons import (
    HELD_OUT,
    Job,
    Trained,
    Trains,
    draw_pictures,
    listeners,
    settings,
    work_in,
)


@pytest.fixture(scope="session", autouse=True)
def _quick_samples() -> Iterator[None]:
    """Draw samples in two steps: what a random UNet draws is no picture, however long it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "STEPS", 2)
        yield


@pytest.fixture(scope="session")
def trains(tmp_path_factory: pytest.TempPathFactory) -> Trains:
    """Give a short way to train a tiny pipeline to the end."""

    def train(family: str = "sd", held_out: int = HELD_OUT, **values: Any) -> Trained:
        folder, job = tmp_path_factory.mktemp("run"), Job()
        studio = open_studio(work_in(folder, job, settings(**values), family, held_out), listeners(job))
        studio.trainer.train()
        studio.save(folder / "result")
        return Trained(studio, job, folder)

    return train


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    """Give the pictures' rows."""
    return draw_pictures(tmp_path)
