"""Which finished trainings there are, and by which names they are found."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from core.catalogue import Catalogue, Source, model_choices
from core.errors import NotAllowed, NotAModel, UnknownName
from core.runs import ANSWERS, RunBase, Runs
from core.settings import Mode, Settings
from core.training.tasks import TRAIN_TASKS


def write_run(folder: Path, name: str, owner: str | None = None, **told: Any) -> str:
    """Write what a finished run leaves besides its weights, and return its id."""
    id_ = uuid.uuid4().hex
    (folder / id_ / "result").mkdir(parents=True)
    (folder / id_ / "job.json").write_text(json.dumps({"id": id_, "owner": owner}))
    base = {"id": "org/model", "revision": "0" * 40, "source": "hub", "adapters": []}
    usual = {"name": name, "task": "text-classification", "method": "lora", "base": base, "labels": [], "created": 1.0}
    (folder / id_ / "result" / "run.json").write_text(json.dumps({**usual, **told}))
    return id_


def test_a_run_is_found_by_name_and_by_id(tmp_path: Path) -> None:
    """Its name from the settings, or the id of its job; a resolved one has one spelling of its name."""
    id_ = write_run(tmp_path / "runs", "reviews")
    catalogue = Catalogue(Settings(home=tmp_path))
    for typed in ("run/reviews", f"run/{id_}", f"run/reviews-{id_[:8]}", " run/reviews "):
        spec = catalogue.resolve(typed, "text-classification")
        assert (spec.name, spec.source) == ("run/reviews", Source.RUN)
    assert not spec.source.remote


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """The older keeps the name, the younger tells its id; that longer name holds when the older one is gone."""
    first = write_run(tmp_path, "twin", created=1.0)
    second = write_run(tmp_path, "twin", created=2.0)
    runs = Runs(tmp_path)
    longer = f"run/twin-{second[:8]}"
    assert [run.name for run in runs.all()] == [longer, "run/twin"]
    assert runs.find("run/twin").id == first
    (tmp_path / first).rename(tmp_path / f".old-{first}")
    assert runs.find(longer).id == runs.find("run/twin").id == second


def test_deleted_and_unknown_runs_are_refused_with_the_names(tmp_path: Path) -> None:
    """The sentence says that it may have been deleted, and what there is."""
    write_run(tmp_path, "reviews")
    with pytest.raises(UnknownName, match="run/reviews") as refusal:
        Runs(tmp_path).find("run/gone")
    assert refusal.value.sentence.key == "error.run_unknown"


def test_an_unfinished_run_is_no_model_yet(tmp_path: Path) -> None:
    """A run without its record is refused by name and by id, and its name is taken."""
    id_ = write_run(tmp_path, "reviews")
    (tmp_path / id_ / "result" / "run.json").unlink()
    (tmp_path / id_ / "settings.json").write_text(json.dumps({"name": "early"}))
    runs = Runs(tmp_path)
    for typed in ("run/early", f"run/{id_}"):
        with pytest.raises(NotAModel) as refusal:
            runs.find(typed)
        assert refusal.value.sentence.key == "error.run_unfinished"
    assert runs.taken() == {"early", id_}
    assert runs.all() == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "x"}', '{"name": "x", "task": "t", "base": []}'])
def test_a_record_that_makes_no_sense_is_left_out(tmp_path: Path, text: str) -> None:
    """One damaged run does not hide the others."""
    write_run(tmp_path, "whole")
    (tmp_path / write_run(tmp_path, "damaged") / "result" / "run.json").write_text(text)
    assert [run.name for run in Runs(tmp_path).all()] == ["run/whole"]


def test_nobody_sees_another_visitors_run(tmp_path: Path) -> None:
    """Without a name there are the instance's own; with one, that visitor's alone."""
    write_run(tmp_path, "mine")
    write_run(tmp_path, "theirs", owner="digest")
    assert [run.name for run in Runs(tmp_path).all()] == ["run/mine"]
    assert [run.name for run in Runs(tmp_path, "digest").all()] == ["run/theirs"]
    with pytest.raises(UnknownName):
        Catalogue(Settings(home=tmp_path), Runs(tmp_path)).run("run/theirs")


@pytest.mark.parametrize("mode", [Mode.SPACE, Mode.SHARE])
def test_visitors_reach_no_run(tmp_path: Path, mode: Mode) -> None:
    """A visitor of a Space or a share link is offered no run, and learns nothing about one that is there."""
    write_run(tmp_path / "runs", "reviews", owner="digest")
    catalogue = Catalogue(Settings(home=tmp_path, mode=mode, public=True))
    assert catalogue.choices("text-classification") == model_choices("text-classification")
    for typed in ("run/reviews", "run/never"):
        with pytest.raises(NotAllowed) as refusal:
            catalogue.resolve(typed, "text-classification")
        assert refusal.value.sentence.key == "error.not_in_this_mode"


def test_a_run_is_offered_where_it_answers(tmp_path: Path) -> None:
    """After the starter, before the well-known models, newest first; a LoRA for pictures also as one."""
    write_run(tmp_path / "runs", "old")
    write_run(tmp_path / "runs", "new", created=2.0)
    write_run(tmp_path / "runs", "nli", labels=["ENTAILMENT", "neutral"])
    write_run(tmp_path / "runs", "style", task="text-to-image")
    write_run(tmp_path / "runs", "unet", task="text-to-image", method="full")
    write_run(tmp_path / "runs", "polite", task="preference")
    catalogue = Catalogue(Settings(home=tmp_path))
    starter, *presets = model_choices("text-classification")
    offered = catalogue.choices("text-classification")
    assert offered[:2] == [starter, "run/new"]
    assert sorted(offered[2:4]) == ["run/nli", "run/old"]
    assert offered[4:] == presets
    assert "run/nli" in catalogue.choices("zero-shot-classification")
    assert "run/polite" in catalogue.choices("chat")
    assert [name for name in catalogue.choices("lora") if name.startswith("run/")] == ["run/style"]
    for task in ("text-to-image", "image-to-image", "inpainting"):
        assert {"run/style", "run/unet"} <= set(catalogue.choices(task))


def test_a_changed_record_is_read_again(tmp_path: Path) -> None:
    """What was read is kept only as long as the file is the same."""
    id_ = write_run(tmp_path, "before")
    runs = Runs(tmp_path)
    assert [run.name for run in runs.all()] == ["run/before"]
    file = tmp_path / id_ / "result" / "run.json"
    file.write_text(file.read_text().replace("before", "after!"))
    assert [run.name for run in runs.all()] == ["run/after!"]


def test_every_trained_task_answers_what_its_table_says() -> None:
    """The list of answers agrees with the table of what can be trained."""
    for name, task in TRAIN_TASKS.items():
        assert task.catalogue_task in ANSWERS.get(name, (name,))


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (RunBase("starter/stories", "abc", "starter"), "starter/stories"),
        (RunBase("org/model", "c1", "hub"), "org/model@c1"),
        (RunBase("org/model", "c1", "hub", ("org/one@c2",)), "org/model@c1+org/one@c2"),
        (RunBase("org/adapter", "c1", "hub", ("org/adapter@c2", "org/one@c3")), "org/adapter@c2+org/one@c3"),
    ],
)
def test_a_base_is_named_as_it_was(base: RunBase, name: str) -> None:
    """A model of the Hub at its commit, with the adapters that lay over it, also where it is an adapter itself."""
    assert base.name == name
