"""Small data of our own writing, so that every kind of training can be tried at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import UnknownName
from core.settings import PROJECT

FOLDER = PROJECT / "assets" / "samples" / "training"
PREFIX = "samples/"


@dataclass(frozen=True)
class Sample:
    """A file of ours: its name without the prefix, and the tasks it is for."""

    name: str
    file: str
    tasks: tuple[str, ...]


_SAMPLES = (
    Sample("reviews", "reviews.csv", ("text-classification",)),
    Sample("entities", "entities.jsonl", ("token-classification",)),
    Sample("questions", "questions.jsonl", ("question-answering",)),
    Sample("translations", "translations.csv", ("translation",)),
    Sample("headlines", "headlines.csv", ("summarization",)),
    Sample("stories", "stories.txt", ("text-generation", "fill-mask")),
    Sample("instructions", "instructions.jsonl", ("text-generation",)),
    Sample("preferences", "preferences.jsonl", ("preference", "reward")),
    Sample("pictures", "pictures.zip", ("text-to-image",)),
)
SAMPLES: Mapping[str, Sample] = {f"{PREFIX}{sample.name}": sample for sample in _SAMPLES}


def is_sample(name: str) -> bool:
    """Tell whether a data set's name means one of ours."""
    return name.startswith(PREFIX)


def samples_for(task: str) -> tuple[str, ...]:
    """Return the names of the samples that fit a task, as they are written into `dataset`."""
    return tuple(name for name, sample in SAMPLES.items() if task in sample.tasks)


def sample_file(name: str) -> Path:
    """Return the file of a sample; UnknownName lists the names."""
    if name not in SAMPLES:
        raise UnknownName("error.unknown_sample", name=name, names=", ".join(SAMPLES))
    return FOLDER / SAMPLES[name].file
