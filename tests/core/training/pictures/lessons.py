"""Small coloured pictures with captions, and what a training of a tiny pipeline on them is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from core.catalogue import ModelSpec, Source
from core.events import CancelToken, Progress
from core.models.files import ModelFiles, folder_files
from core.training.callbacks import CheckpointListener, EventListener, StopListener
from core.training.pictures.parts import PictureParts, load_parts
from core.training.pictures.studio import PictureWork, Studio
from core.training.settings import TrainSettings
from tests.fakes.pipelines import tiny_pipeline

COLOURS = ("red", "green", "blue", "black", "white", "gray")
HELD_OUT = 2


class Job:
    """Hears what a training tells, and can stop it."""

    def __init__(self) -> None:
        """Nothing has been heard."""
        self.cancel = CancelToken()
        self.told: list[tuple[str, Any]] = []
        self.phases: list[str] = []

    def report(self, progress: Progress) -> None:
        """Remember the phase."""
        self.phases.append(progress.phase)

    def emit(self, name: str, payload: Any) -> None:
        """Remember the event."""
        self.told.append((name, payload))

    def log(self, text: str) -> None:
        """Remember the line."""
        self.told.append(("log", text))

    def payloads(self, name: str) -> list[Any]:
        """Return what was told under a name."""
        return [payload for told, payload in self.told if told == name]


@dataclass(frozen=True)
class Trained:
    """A training of a tiny pipeline that has ended."""

    studio: Studio
    job: Job
    folder: Path

    @property
    def result(self) -> Path:
        """Where what was learnt lies."""
        return self.folder / "result"

    @property
    def losses(self) -> list[float]:
        """The loss of each step."""
        return [one["loss"] for one in self.job.payloads("metrics")]


def settings(**values: Any) -> TrainSettings:
    """Return settings with every choice made: four steps of two pictures."""
    usual: dict[str, Any] = {
        "task": "text-to-image",
        "method": "lora",
        "resolution": 64,
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "learning_rate": 5e-3,
        "warmup_steps": 0,
        "precision": "fp32",
        "device": "cpu",
        "save_strategy": "steps",
        "save_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "logging_steps": 1,
        "sample_count": 1,
        "gradient_checkpointing": "off",
        "train_sampling_strategy": "random",
    }
    ranks = {} if values.get("method") == "full" else {"r": 2}
    return TrainSettings(**{**usual, **ranks, **values})


def base_of(family: str) -> tuple[ModelSpec, ModelFiles]:
    """Return a tiny pipeline as a training begins with it."""
    folder = tiny_pipeline(family)
    return ModelSpec(str(folder), Source.FOLDER, "text-to-image"), folder_files(folder)


def tiny_parts(family: str) -> PictureParts:
    """Return the loaded parts of a tiny pipeline."""
    return load_parts(*base_of(family))


def draw_pictures(folder: Path) -> list[dict[str, Any]]:
    """Draw a picture of each colour, each of another width, and return their rows."""
    rows = []
    for number, colour in enumerate(COLOURS):
        image = Image.new("RGB", (80 + 10 * number, 70), colour)
        ImageDraw.Draw(image).ellipse((5, 5, 40, 60), fill="orange")
        image.save(folder / f"{number}.png")
        rows.append({"image": str(folder / f"{number}.png"), "caption": f"a {colour} square", "row": number + 1})
    return rows


def work_in(folder: Path, job: Job, chosen: TrainSettings, family: str = "sd", held_out: int = HELD_OUT) -> PictureWork:
    """Return the work of a training in `folder`, which holds the pictures, too."""
    rows = draw_pictures(folder)
    learning, measured = rows[: len(rows) - held_out], rows[len(rows) - held_out :]
    return PictureWork(chosen, *base_of(family), folder, learning, measured, "hash", job)


def listeners(job: Job) -> tuple[object, ...]:
    """Return the listeners that every training has."""
    return (EventListener(job, len(COLOURS) - HELD_OUT), StopListener(job.cancel), CheckpointListener(job, 2))


Trains = Callable[..., Trained]
