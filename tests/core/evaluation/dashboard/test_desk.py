"""The table of all runs: found, sorted, tagged, deleted, and taken along as a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from core.errors import InvalidInput, UnknownName
from core.evaluation.dashboard.desk import RunsDesk
from core.evaluation.dashboard.listing import RunsSettings
from core.jobs.views import ANYBODY
from tests.core.evaluation.dashboard.runs import add_evaluation, add_training, new_desk


@pytest.fixture
def desk(tmp_path: Path) -> RunsDesk:
    """Give a desk with two trainings and an evaluation of two models."""
    found = new_desk(tmp_path)
    add_training(found, "first", [2.0, 1.0], eval_loss=1.0, eval_accuracy=0.7)
    add_training(found, "second", [3.0])
    add_evaluation(found, {"starter/sentiment": 0.9, "run/first": 0.8})
    return found


def names(desk: RunsDesk, **settings: object) -> list[str]:
    """Return the names of the lines that these settings give."""
    return [row.name for row in desk.find(RunsSettings(**settings)).rows]  # type: ignore[arg-type]


def test_trainings_and_models_of_evaluations_are_lines(desk: RunsDesk) -> None:
    """What is newer comes first; the numbers of a training lose Trainer's prefix, those of a model keep intervals."""
    found = desk.find(RunsSettings())
    told = {row.name + row.kind: row for row in found.rows}
    assert set(told) == {
        "run/firsttraining",
        "run/secondtraining",
        "starter/sentimentevaluation",
        "run/firstevaluation",
    }
    assert {one: number.value for one, number in told["run/firsttraining"].metrics.items()} == {
        "loss": 1.0,
        "accuracy": 0.7,
    }
    number = told["starter/sentimentevaluation"].metrics["accuracy"]
    assert (number.value, number.low, number.high) == pytest.approx((0.9, 0.8, 1.0))
    assert told["starter/sentimentevaluation"].model == "starter/sentiment@main"
    assert told["run/secondtraining"].metrics == {}
    assert (found.found, found.metrics[0]) == (4, "accuracy")
    assert [row.created for row in found.rows] == sorted((row.created for row in found.rows), reverse=True)


def test_lines_are_filtered_and_sorted(desk: RunsDesk) -> None:
    """By kind, by words anywhere in a line, and by a metric: what lacks it comes last either way."""
    assert set(names(desk, kind="training")) == {"run/first", "run/second"}
    assert names(desk, search="SENTIMENT samples/reviews") == ["starter/sentiment"]
    assert names(desk, search="sentiment nowhere") == []
    best = names(desk, sort="accuracy")
    assert best == ["starter/sentiment", "run/first", "run/first", "run/second"]
    assert names(desk, sort="accuracy", descending=False)[-1] == "run/second"
    assert names(desk, sort="name", descending=False, limit=2) == ["run/first", "run/first"]
    with pytest.raises(InvalidInput, match="accuracy"):
        desk.find(RunsSettings(sort="colour"))


def test_tags_are_kept_found_and_replaced(desk: RunsDesk, tmp_path: Path) -> None:
    """Tags lie beside the run, so another server finds them; all lines of a job share them."""
    job = desk.find(RunsSettings(search="sentiment")).rows[0].job
    assert desk.tag(job, "best, 試，best") == ("best", "試")
    again = new_desk(tmp_path)
    assert {row.name for row in again.find(RunsSettings(tags="試, best")).rows} == {"starter/sentiment", "run/first"}
    assert again.find(RunsSettings()).tags == ("best", "試")
    desk.tag(job, "")
    assert again.find(RunsSettings()).tags == ()
    for bad in (",".join(str(number) for number in range(11)), "x" * 41):
        with pytest.raises(InvalidInput):
            desk.tag(job, bad)


def test_a_deleted_run_is_gone(desk: RunsDesk) -> None:
    """An evaluation goes with the lines of all its models."""
    job = desk.find(RunsSettings(search="sentiment")).rows[0].job
    desk.delete(job)
    assert set(names(desk)) == {"run/first", "run/second"}
    with pytest.raises(UnknownName):
        desk.delete(job)


def test_runs_are_their_owners(desk: RunsDesk) -> None:
    """Another visitor finds, tags and deletes nothing of yours."""
    job = add_evaluation(desk, {"mine": 0.5}, owner="ada")
    assert [row.name for row in desk.find(RunsSettings(), "ada").rows] == ["mine"]
    assert desk.find(RunsSettings(), "bob").rows == ()
    assert len(desk.find(RunsSettings(), ANYBODY).rows) == 5
    for act in (lambda: desk.tag(job, "x", "bob"), lambda: desk.delete(job, "bob")):
        with pytest.raises(UnknownName):
            act()


def test_what_failed_is_a_line_without_numbers(desk: RunsDesk) -> None:
    """A job that died before its first model still tells what it was asked for."""
    job = add_evaluation(desk, {})
    (row,) = [row for row in desk.find(RunsSettings()).rows if row.job == job]
    assert (row.state, row.task, row.data, row.metrics) == ("failed", "text-classification", "samples/reviews", {})


def test_a_result_that_changes_is_read_again(desk: RunsDesk) -> None:
    """Lines are remembered as long as their file is the same."""
    before = desk.find(RunsSettings(search="sentiment")).rows[0]
    file = desk.evaluations.result_folder(before.job) / "evaluation.json"
    told = json.loads(file.read_text())
    told["models"][0]["metrics"][0]["values"][0]["value"] = 0.123
    file.write_text(json.dumps(told))
    assert desk.find(RunsSettings(search="sentiment")).rows[0].metrics["accuracy"].value == 0.123


def test_all_files_say_the_same(desk: RunsDesk, tmp_path: Path) -> None:
    """CSV and JSON hold intervals as numbers, Markdown and LaTeX as words; what would be a command is escaped."""
    add_evaluation(desk, {"org/a_b|c": 0.25}, data="50%_of_it")
    jobs = [row.job for row in desk.find(RunsSettings(search="a_b")).rows]
    told = {
        kind: desk.export(jobs, kind, tmp_path).read_text("utf-8-sig") for kind in ("csv", "json", "markdown", "latex")
    }
    (line,) = csv.DictReader(told["csv"].splitlines())
    assert (line["name"], line["accuracy"], line["accuracy_low"]) == ("org/a_b|c", "0.25", "0.15")
    (row,) = json.loads(told["json"])
    assert row["metrics"]["accuracy"] == {"value": 0.25, "low": 0.15, "high": 0.35}
    assert r"org/a_b\|c" in told["markdown"]
    assert "0.25 [0.15, 0.35]" in told["markdown"]
    assert r"50\%\_of\_it" in told["latex"]
    assert r"\toprule" in told["latex"]
    assert desk.export((), "csv", tmp_path).read_text("utf-8-sig").count("\n") == 6
    with pytest.raises(InvalidInput, match="latex"):
        desk.export(jobs, "docx", tmp_path)
    with pytest.raises(UnknownName):
        desk.export(["0" * 32], "csv", tmp_path)
