"""Bases that are offered: what can learn the task, and runs that can go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.catalogue import find_task, starter_names
from core.errors import UnknownName
from core.settings import Mode
from core.training.offers import offered_bases
from core.training.tasks import TRAIN_TASKS
from tests.core.test_runs import write_run
from tests.core.training.finished import registry_at


@pytest.mark.parametrize("task", TRAIN_TASKS)
def test_every_task_offers_what_is_there(tmp_path: Path, task: str) -> None:
    """The proposal stands first where it is shipped; starters that are not here are not offered, presets are."""
    found = offered_bases(task, registry_at(tmp_path))
    known = TRAIN_TASKS[task]
    if known.model in starter_names() or not known.model.startswith("starter/"):
        assert found[0] == known.model
    assert {name for name in found if name.startswith("starter/")} <= set(starter_names())
    assert len(set(found)) == len(found) > 1


def test_a_starter_of_another_kind_is_not_offered(tmp_path: Path) -> None:
    """Summaries are answered by an encoder here, which cannot learn to write; rewards are learnt by what writes."""
    registry = registry_at(tmp_path)
    assert find_task("summarization").starter not in offered_bases("summarization", registry)
    assert "starter/sentiment" in offered_bases("text-classification", registry)
    assert offered_bases("reward", registry)[0] == "starter/stories"
    assert "starter/sentiment" not in offered_bases("reward", registry)


def test_runs_that_can_go_on_are_offered(tmp_path: Path) -> None:
    """Those of the task, and of tasks that it builds on; learnt inputs before a text are nothing to go on from."""
    write_run(tmp_path / "runs", "stars")
    write_run(tmp_path / "runs", "talk", task="text-generation")
    write_run(tmp_path / "runs", "words", task="fill-mask")
    id_ = write_run(tmp_path / "runs", "prefix", method="prefix-tuning")
    config = tmp_path / "runs" / id_ / "result" / "adapter_config.json"
    config.write_text(json.dumps({"peft_type": "PREFIX_TUNING"}))
    registry = registry_at(tmp_path)
    for task, runs in (
        ("text-classification", {"run/stars", "run/words"}),
        ("text-generation", {"run/talk"}),
        ("preference", {"run/talk"}),
        ("translation", set[str]()),
    ):
        assert {name for name in offered_bases(task, registry) if name.startswith("run/")} == runs


def test_a_guest_is_offered_no_runs(tmp_path: Path) -> None:
    """Where runs are closed, none is named; a task that does not exist is refused with those that do."""
    write_run(tmp_path / "runs", "stars")
    guests = registry_at(tmp_path, mode=Mode.SHARE, password="of the guests")
    assert not any(name.startswith("run/") for name in offered_bases("text-classification", guests))
    with pytest.raises(UnknownName):
        offered_bases("juggling", guests)
