"""Tests of a training's settings: their limits, their law, and their file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadFile, InvalidInput, UnknownName
from core.known_tasks import TASKS
from core.training.contradictions import require_data
from core.training.settings import GROUPS, TrainSettings, read_settings, settings_from, write_settings
from core.training.tasks import METHODS, TRAIN_TASKS, find_train_task

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"num_train_epochs": 0}, "error.train_no_epochs"),
    ({"num_train_epochs": -0.5}, "error.train_no_epochs"),
    ({"warmup_steps": -0.5}, "error.train_warmup"),
    ({"task": "fill-mask", "method": "prefix-tuning"}, "error.train_method_unfit"),
    ({"task": "token-classification", "method": "prompt-tuning"}, "error.train_method_unfit"),
    ({"file": "a.csv", "dataset": "samples/reviews"}, "error.train_two_sources"),
    ({"dataset": "a", "validation_split": "test", "validation_file": "b.csv"}, "error.train_two_validations"),
    ({"file": "a.csv", "validation_split": "test"}, "error.train_split_without_dataset"),
    ({"name": "../escape"}, "error.train_run_name"),
    ({"name": "a..b"}, "error.train_run_name"),
    ({"max_length": 64, "doc_stride": 64}, "error.train_doc_stride"),
    ({"method": "full", "use_dora": True}, "error.train_other_method"),
    ({"method": "ia3", "r": 8}, "error.train_other_method"),
    ({"method": "prompt-tuning", "packing": "on"}, "error.train_other_method"),
    ({"method": "prefix-tuning", "packing": "on"}, "error.train_other_method"),
    ({"method": "adalora", "init_r": 4, "target_r": 8}, "error.train_adalora_ranks"),
    ({"packing": "on"}, "error.train_other_task"),
    ({"task": "text-generation", "label_smoothing_factor": 0.1}, "error.train_other_task"),
    (
        {"task": "text-generation", "packing": "on", "train_sampling_strategy": "group_by_length"},
        "error.train_packed_and_grouped",
    ),
    ({"eval_strategy": "no", "early_stopping_patience": 2}, "error.train_needs_evaluation"),
    ({"eval_strategy": "no", "lr_scheduler_type": "reduce_lr_on_plateau"}, "error.train_needs_evaluation"),
    ({"validation_fraction": 0, "eval_strategy": "epoch"}, "error.train_nothing_held_out"),
    ({"validation_fraction": 0, "early_stopping_patience": 2}, "error.train_nothing_held_out"),
    ({"eval_strategy": "epoch", "save_strategy": "steps"}, "error.train_best_needs_same_cadence"),
    (
        {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 20, "save_steps": 30},
        "error.train_best_needs_same_cadence",
    ),
]
OUTSIDE: list[tuple[str, Any]] = [
    ("r", 5_000),
    ("learning_rate", -1),
    ("learning_rate", float("nan")),
    ("validation_fraction", 0.9),
    ("precision", "fp8"),
    ("task", "chess"),
    ("num_processes", 0),
    ("seed", 0.5),
]


def test_everything_has_a_default() -> None:
    """A training can be described by nothing but its data."""
    assert TrainSettings().known_task.name == "text-classification"
    assert TrainSettings().model_name == "sentence-transformers/all-MiniLM-L6-v2"


def test_the_fields_are_those_of_the_groups() -> None:
    """A form built from the groups has each field once."""
    grouped = [field.name for group in GROUPS for field in dataclasses.fields(group)]
    assert grouped == [field.name for field in dataclasses.fields(TrainSettings)]
    assert len(set(grouped)) == len(grouped)


@pytest.mark.parametrize(("values", "key"), CONTRADICTIONS, ids=str)
def test_contradictions_are_refused_in_words(values: dict[str, Any], key: str) -> None:
    """Two choices that exclude each other, or mean nothing together, are named."""
    with pytest.raises(InvalidInput) as refusal:
        TrainSettings(**values)
    assert refusal.value.sentence.key == key


@pytest.mark.parametrize(("name", "value"), OUTSIDE)
def test_limits_are_beside_the_fields(name: str, value: Any) -> None:
    """A value outside its limits is refused by name."""
    with pytest.raises(InvalidInput, match=name):
        TrainSettings(**{name: value})


def test_steps_stand_for_epochs() -> None:
    """With max_steps, the number of epochs does not matter."""
    assert TrainSettings(num_train_epochs=0, max_steps=5).max_steps == 5


def test_no_data_is_refused() -> None:
    """A start needs a file or a data set; a form need not have one yet."""
    with pytest.raises(InvalidInput, match="no data"):
        require_data(TrainSettings())
    require_data(TrainSettings(dataset="samples/reviews"))


def test_the_file_brings_back_what_was_written(tmp_path: Path) -> None:
    """settings.json is readable, whole, and says the same again."""
    settings = TrainSettings(file="töne.csv", columns="text=문장, label=별", learning_rate=3e-4, method="full")
    file = write_settings(settings, tmp_path)
    assert read_settings(tmp_path) == settings
    assert "문장" in file.read_text(encoding="utf-8")
    assert len(json.loads(settings.to_json())) == len(dataclasses.fields(TrainSettings))


@pytest.mark.parametrize("text", ["", "[1]", '{"r": 8', None])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str | None) -> None:
    """What is missing or no JSON object is told as such."""
    if text is not None:
        (tmp_path / "settings.json").write_text(text)
    with pytest.raises(BadFile, match=r"settings\.json"):
        read_settings(tmp_path)


def test_unknown_keys_are_named() -> None:
    """A misspelt key is no silent default."""
    with pytest.raises(BadFile, match="learning_rat"):
        settings_from({"learning_rat": 1})


def test_tasks_know_their_way_to_the_page() -> None:
    """Each task's finished model answers under a task of the catalogue, and each method is one there is."""
    for task in TRAIN_TASKS.values():
        assert task.catalogue_task in TASKS
        assert set(task.methods) <= set(METHODS)
        assert TrainSettings(task=task.name).model_name
    with pytest.raises(UnknownName, match="text-to-image"):
        find_train_task("chess")
