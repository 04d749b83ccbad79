"""A training in full: every choice, the law that holds them together, and the file they travel in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.fields import enforce
from core.training.choices import DataChoice, MethodChoice, ModelChoice
from core.training.contradictions import refuse_contradictions
from core.training.schedule import Choices, Optimisation, Watching
from core.training.tasks import TrainTask, find_train_task

GROUPS = (ModelChoice, DataChoice, MethodChoice, Optimisation, Watching)
SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class TrainSettings(Choices):
    """Everything a training is asked to do; its fields are the groups' in order, and all have defaults."""

    def __post_init__(self) -> None:
        """Raise InvalidInput for a value outside its limits, or for two that contradict each other."""
        enforce(self)
        refuse_contradictions(self)

    @property
    def known_task(self) -> TrainTask:
        """The task with its columns, metrics and methods."""
        return find_train_task(self.task)

    @property
    def model_name(self) -> str:
        """The model that was typed, or the task's proposal."""
        return self.model.strip() or self.known_task.model

    def to_json(self) -> str:
        """Return the settings file's text, one line for each field."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2) + "\n"


def settings_from(values: Mapping[str, Any]) -> TrainSettings:
    """Return the settings that `to_json` or a form wrote; BadFile names keys that do not exist."""
    known = {field.name for field in dataclasses.fields(TrainSettings)}
    strange = sorted(set(values) - known)
    if strange:
        raise BadFile("error.train_settings_unknown", names=", ".join(strange))
    return TrainSettings(**values)


def write_settings(settings: TrainSettings, folder: Path) -> Path:
    """Write settings.json into a run's folder."""
    file = folder / SETTINGS_FILE
    file.write_text(settings.to_json(), encoding="utf-8")
    return file


def read_settings(folder: Path) -> TrainSettings:
    """Read a run's settings.json; BadFile where it is missing or no JSON object.

    A file that it names without a place lies in the run's own folder, wherever that was moved.
    """
    try:
        values = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadFile("error.train_settings_unreadable", file=SETTINGS_FILE) from problem
    if not isinstance(values, dict):
        raise BadFile("error.train_settings_unreadable", file=SETTINGS_FILE)
    return settings_from({**values, **_own_files(values, folder)})


def _own_files(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    named = {name: str(values.get(name) or "") for name in ("file", "validation_file")}
    return {name: str(folder.resolve() / one) for name, one in named.items() if one and (folder / one).is_file()}
