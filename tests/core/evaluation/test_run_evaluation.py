"""A run and what it stands on, evaluated as one on the rows that the run held out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from core.atelier import Atelier
from core.errors import InvalidInput, WrongTask
from core.evaluation.settings import EvaluateSettings
from core.jobs.runner import State
from core.training.card import adapter_card
from core.training.evaluated import newest_change
from core.training.record import read_run
from tests.core.evaluation.conftest import ended, values_of
from tests.core.test_runs import write_run
from tests.core.training.finished import train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert, tiny_t5

BRIEF: dict[str, Any] = {"max_steps": 3, "learning_rate": 0.1, "eval_strategy": "no", "warmup_steps": 0}


def evaluate_run(atelier: Atelier, name: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Evaluate a run to the end, and return the job with what was found."""
    desk = atelier.evaluation_desk
    job = desk.start(desk.of_run(name, **changes))
    assert ended(atelier, job) is State.SUCCEEDED, atelier.evaluations.log(job)
    return job, desk.read(job)


def test_base_and_run_on_held_out_rows(atelier: Atelier, tmp_path: Path) -> None:
    """One evaluation with two models, their lineage, and who is better; the rows are those that never trained."""
    base = tiny_bert(tmp_path / "bert", labels=("bad", "good"))
    folder = train(atelier.settings.home, base, feelings(), name="feel", validation_fraction=0.25, **BRIEF)
    job, found = evaluate_run(atelier, "run/feel", draws=200)
    first, second = found["models"]
    assert (first["name"], second["name"]) == (str(base), "run/feel")
    assert (first["run"], second["run"]) == (None, "run/feel")
    assert second["lineage"][-1].startswith("run/feel@")
    assert (found["data"]["name"], found["data"]["run"]) == ("run/feel", "run/feel")
    held = [json.loads(line) for line in (folder / "data/rows/validation.jsonl").read_text().splitlines()]
    lines = atelier.evaluation_desk.rows(job)
    assert [line["input"] for line in lines] == [row["text"] for row in held]
    assert [line["row"] for line in lines] == [row["row"] for row in held]
    (compared,) = found["comparisons"]
    assert (compared["first"], compared["second"], compared["rows"]) == (str(base), "run/feel", len(held))
    assert set(values_of(second)) >= {"accuracy.accuracy", "f1.f1"}


def test_the_models_card_tells_of_it(atelier: Atelier, tmp_path: Path) -> None:
    """What a run was measured to do stands in its card, beside its base and in words, and as the Hub's model-index."""
    base = tiny_bert(tmp_path / "bert", labels=("bad", "good"))
    folder = train(atelier.settings.home, base, feelings(), name="feel", validation_fraction=0.25, **BRIEF)
    run = atelier.registry.run("run/feel")
    assert "model-index" not in adapter_card(run, read_run(run.result))
    assert newest_change(folder) == 0
    _, found = evaluate_run(atelier, "run/feel", draws=200)
    card = adapter_card(run, read_run(run.result))
    accuracy = values_of(found["models"][1])["accuracy.accuracy"]
    results = ModelCard(card).data.eval_results
    assert results is not None
    assert {one.metric_name: one.metric_value for one in results}["accuracy"] == accuracy
    assert "## Evaluation on its own data (rows that were held out)" in card
    assert "| run/feel |" in card
    assert "| bert |" in card
    assert found["comparisons"][0]["sentence"]["text"].replace(str(base), "bert") in card
    assert str(tmp_path) not in card
    assert newest_change(folder) > 0


def test_accuracy_is_that_of_the_training(atelier: Atelier, tmp_path: Path) -> None:
    """What the training measured on its held-out rows, the evaluation measures, too."""
    base = tiny_bert(tmp_path / "bert", labels=("bad", "good"))
    values = {**BRIEF, "eval_strategy": "epoch"}
    folder = train(atelier.settings.home, base, feelings(), name="feel", validation_fraction=0.25, **values)
    trained = json.loads((folder / "result/run.json").read_text())["metrics"]
    _, found = evaluate_run(atelier, "run/feel", dtype="float32")
    numbers = values_of(found["models"][1])
    assert numbers["accuracy.accuracy"] == pytest.approx(trained["eval_accuracy"])
    assert numbers["f1.f1"] == pytest.approx(trained["eval_f1"])


def test_a_base_without_a_head_says_so(atelier: Atelier, tmp_path: Path) -> None:
    """A masked language model has nothing but an untrained head for feelings: only the run has numbers."""
    train(atelier.settings.home, tiny_bert(tmp_path / "bert", "masked-lm"), feelings(), name="feel", **BRIEF)
    _, found = evaluate_run(atelier, "run/feel")
    base, run = found["models"]
    assert base["refusal"]["key"] == "say.evaluation_no_head"
    assert "untrained" in base["refusal"]["text"]
    assert base["metrics"] == []
    assert run["n"] > 0
    assert found["comparisons"] == []


def test_a_translation_keeps_its_languages(atelier: Atelier, tmp_path: Path) -> None:
    """A run of another task is evaluated by that task's metrics."""
    rows = [{"source": row["text"], "target": row["text"][:8]} for row in feelings(2)]
    model = tiny_t5(tmp_path / "t5", tiny_bert(tmp_path / "bert"))
    train(atelier.settings.home, model, rows, name="pairs", task="translation", **BRIEF)
    settings = atelier.evaluation_desk.of_run("run/pairs")
    assert (settings.task, settings.dataset, settings.models) == ("translation", "run/pairs", f"{model}, run/pairs")
    _, found = evaluate_run(atelier, "run/pairs", max_new_tokens=4, num_beams=1)
    assert [one["name"] for one in found["models"][1]["metrics"]] == ["sacrebleu", "chrf"]


def test_runs_without_held_out_rows_are_refused(atelier: Atelier, tmp_path: Path) -> None:
    """A run that held nothing out, or learnt what is not evaluated, or something else, says so."""
    values = {**BRIEF, "validation_fraction": 0.0}
    train(atelier.settings.home, tiny_bert(tmp_path / "bert"), feelings(1), name="all", **values)
    desk = atelier.evaluation_desk
    job = desk.start(desk.of_run("run/all"))
    assert ended(atelier, job) is State.FAILED
    error = atelier.evaluations.view(job).error
    assert error
    assert error.key == "error.evaluate_nothing_held_out"
    write_run(atelier.settings.runs_folder, "style", task="text-to-image")
    with pytest.raises(WrongTask) as refusal:
        desk.of_run("run/style")
    assert refusal.value.sentence.key == "error.evaluate_task_of_run"
    with pytest.raises(WrongTask) as refusal:
        desk.start(EvaluateSettings(task="translation", dataset="run/all"))
    assert refusal.value.sentence.key == "error.evaluate_run_task"
    with pytest.raises(InvalidInput):
        desk.of_run("run/all", metrics="rouge")
