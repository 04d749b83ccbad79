"""A run that learns to draw, from a zip of pictures to its record."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from core.events import Progress
from core.training.pictures import samples
from core.training.record import read_run
from core.training.run import train_here
from core.training.settings import write_settings
from tests.core.training.pictures.lessons import COLOURS, draw_pictures, settings
from tests.core.training.tiny import events, job_at
from tests.fakes.pipelines import tiny_pipeline


def zipped(folder: Path) -> Path:
    """Return a zip of pictures whose captions stand in metadata.csv."""
    rows = draw_pictures(folder)
    table = "\n".join(["file_name,caption", *(f"{Path(row['image']).name},{row['caption']}" for row in rows)])
    with zipfile.ZipFile(folder / "colours.zip", "w") as packed:
        packed.writestr("metadata.csv", table)
        for row in rows:
            packed.write(row["image"], Path(row["image"]).name)
    return folder / "colours.zip"


def test_a_zip_of_pictures_becomes_an_adapter_with_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker reads settings.json alone; samples, adapter and run.json lie in the result."""
    monkeypatch.setattr(samples, "STEPS", 2)
    job = job_at(tmp_path / "run")
    chosen = settings(file=str(zipped(tmp_path)), model=str(tiny_pipeline("sd")), validation_fraction=0.34, name="hues")
    write_settings(chosen, job.folder)
    train_here(job)
    job.close()
    made = read_run(job.result_folder)
    assert (made.name, made.task, made.method, made.steps) == ("hues", "text-to-image", "lora", 4)
    assert made.columns == {"image": "image", "caption": "caption"}
    assert sum(made.rows.values()) == len(COLOURS)
    assert set(made.metrics) == {"eval_loss"}
    assert (job.result_folder / "pytorch_lora_weights.safetensors").stat().st_size > 0
    drawn = [name for one in events(job, "samples") for name in one.payload["files"]]
    assert len(drawn) == 2
    assert all((job.result_folder / name).is_file() for name in drawn)
    assert isinstance(job.last_progress, Progress)
    assert job.last_progress.phase == "save"
