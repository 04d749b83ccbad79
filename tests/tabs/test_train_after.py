"""After the run: base and run side by side, the zip, the form to train on from it, and who may."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.atelier import Atelier, open_atelier
from core.errors import InvalidInput, NotAllowed, NotAModel, UnknownName, WrongTask
from core.jobs.runner import State
from core.settings import Mode, Settings
from core.tasks.text.question import Answered, Question
from core.training.compare import SideBySide
from core.training.settings import read_settings
from core.words import say
from tabs._events import Visit
from tabs.evaluation._desk import EvaluateHandlers
from tabs.train._after import FILLED, AfterHandlers
from tabs.train._compare_view import show_both
from tabs.train._desk import TrainHandlers
from tabs.train._form import settings_of
from tests.core.test_runs import write_run
from tests.fakes.models import tiny_bert

ROWS = [(f"a {word} film, {place}", word) for place in range(12) for word in ("good", "bad")]


@dataclass(frozen=True)
class Finished:
    """An instance with one run, made by a worker of its own from an upload."""

    atelier: Atelier
    job: str
    model: str
    shown: tuple[Any, ...]
    """What the page was told last."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Train for three steps."""
    folder = tmp_path_factory.mktemp("after")
    atelier = open_atelier(Settings(home=folder / "home"))
    model = str(tiny_bert(folder / "bert", "sequence-classification"))
    upload = folder / "films.csv"
    upload.write_text("said,felt\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS), encoding="utf-8")
    by = TrainHandlers(atelier)
    _, job = by.start(
        Visit(),
        task="text-classification",
        method="lora",
        model=model,
        file=str(upload),
        name="films",
        columns="text=said, label=felt",
        more='{"max_steps": 3, "device": "cpu", "learning_rate": 0.05, "seed": 7}',
    )
    *_, last = [shown for shown in by.follow(Visit(), job) if shown]
    assert atelier.training.view(job).state is State.SUCCEEDED, atelier.training.log(job)
    yield Finished(atelier, job, model, last)
    assert atelier.shutdown(20)


def test_a_finished_run_shows_what_can_be_done(finished: Finished) -> None:
    """Neither stop nor go on, but the column of what it offers; a question is asked for answers only."""
    _, job, result, stop, resume, offers, question, _ = finished.shown
    assert job["value"] == finished.job
    assert job["choices"] == [(f"run/films · {say('say.state_succeeded')}", finished.job)]
    assert (result["state"], result["task"]) == ("succeeded", "text-classification")
    assert [one["visible"] for one in (stop, resume, offers, question)] == [False, False, True, False]


def test_base_and_run_answer_the_same_text(finished: Finished) -> None:
    """Each side has its own labels, and names what ran."""
    by = AfterHandlers(finished.atelier)
    view, result = by.compare(Visit(), "a good film", job=finished.job)
    assert result["base"]["model"] == finished.model
    assert result["adapted"]["model"] == "run/films"
    assert {one["label"] for one in result["adapted"]["result"]} == {"good", "bad"}
    assert result["adapted"]["provenance"]["lineage"][-1].startswith("run/films@")
    assert not result["same"]
    assert view.count('class="provenance"') == 2
    with pytest.raises(InvalidInput):
        by.compare(Visit(), "  ")


def test_the_zip_is_handed_to_the_browser(finished: Finished) -> None:
    """It lies among what the page may fetch, and is packed once."""
    by = AfterHandlers(finished.atelier)
    first, again = (by.export(Visit(), "")["value"] for _ in range(2))
    assert first == again
    assert Path(first).is_relative_to(finished.atelier.settings.uploads_folder)
    with zipfile.ZipFile(first) as packed:
        assert {"adapter_model.safetensors", "README.md", "run.json"} <= set(packed.namelist())


def test_the_form_is_filled_to_train_on(finished: Finished) -> None:
    """Task, method, data, columns and every other setting are the run's; the base is the run, the name is free."""
    *values, told = AfterHandlers(finished.atelier).train_on(Visit(), finished.job)
    form = {name: one["value"] if isinstance(one, dict) else one for name, one in zip(FILLED, values, strict=False)}
    assert (form["task"], form["method"], form["model"], form["name"]) == (
        "text-classification",
        "lora",
        "run/films",
        "",
    )
    assert form["columns"] == "text=said, label=felt"
    assert Path(form["file"]).read_text(encoding="utf-8").startswith("said,felt")
    assert json.loads(form["more"])["seed"] == 7
    assert "run/films" in told
    settings = settings_of(form)
    before = read_settings(finished.atelier.settings.runs_folder / finished.job)
    assert (settings.learning_rate, settings.max_steps) == (before.learning_rate, before.max_steps)
    found = finished.atelier.train_desk.look(settings)
    assert finished.atelier.train_desk.plan(settings, found.shape, measured=False).base.name == "run/films"
    assert "run/films" in finished.atelier.train_desk.bases("text-classification")


def test_a_run_is_evaluated_beside_its_base(finished: Finished) -> None:
    """One click starts it on the rows that the run held out; the Evaluate tab follows it, and the base has its card."""
    view, job = AfterHandlers(finished.atelier).evaluate(Visit(), finished.job)
    assert "run/films" in view
    by = EvaluateHandlers(finished.atelier)
    *_, last = [shown for shown in by.follow(Visit(), None) if shown]
    assert last[1]["value"] == job
    found = by.status(Visit(), job)[1]["evaluation"]
    assert [one["name"] for one in found["models"]] == [finished.model, "run/films"]
    assert found["data"]["run"] == "run/films"
    assert found["models"][1]["n"] == found["data"]["rows"] > 0


def test_what_has_not_ended_well_offers_nothing(tmp_path: Path) -> None:
    """Without a training, with an unknown one, and for guests, each handler refuses in words."""
    own = AfterHandlers(open_atelier(Settings(home=tmp_path / "own")))
    guests = AfterHandlers(open_atelier(Settings(mode=Mode.SPACE, home=tmp_path / "space", host="127.0.0.1")))
    asked = {"compare": {"text": "x"}, "export": {}, "merge": {}, "evaluate": {}, "train_on": {}}
    for name, values in asked.items():
        with pytest.raises(InvalidInput, match="no training"):
            getattr(own, name)(Visit(), job="", **values)
        with pytest.raises(UnknownName):
            getattr(own, name)(Visit(), job="0" * 32, **values)
        with pytest.raises(NotAllowed):
            getattr(guests, name)(Visit(visitor="ada"), job="", **values)


def test_answers_are_drawn_as_their_tasks_show_them() -> None:
    """Entities in their text, answers and gaps with scores, texts as they are; nothing of a model becomes markup."""
    for task, result, seen in (
        ("token-classification", [{"entity_group": "PER", "start": 0, "end": 3, "score": 1.0}], "<sub>PER</sub>"),
        ("question-answering", {"answer": "Ada", "score": 0.5, "start": 0, "end": 3}, "0.500"),
        ("fill-mask", [[{"token_str": "red", "score": 0.25}]], "0.250"),
        ("text-generation", [{"generated_text": "<b>x"}], "&lt;b&gt;x"),
        ("translation", [{"translation_text": "oui"}], "oui"),
    ):
        refused = Answered("base", None, None, say("say.no_answer"))
        provenance = finished_provenance()
        both = SideBySide(task, refused, Answered("run/x", result, provenance))
        view, told = show_both(both, Question("Ada <i>"), Visit())
        assert seen in view
        assert "<i>" not in view
        assert "<b>" not in view
        assert told["base"]["refusal"] == str(say("say.no_answer"))


def finished_provenance() -> Any:
    """Return what ran, as a task tells it."""
    from core.provenance import Provenance

    return Provenance("m", "r", None, "cpu", "float32", "sdpa")


def test_a_run_that_draws_is_compared_elsewhere(finished: Finished) -> None:
    """It is refused with where to see both."""
    from core.training.compare import compare_with_base

    write_run(finished.atelier.settings.runs_folder, "style", task="text-to-image")
    with pytest.raises(WrongTask) as refusal:
        compare_with_base("run/style", Question("x"), finished.atelier.registry)
    assert refusal.value.sentence.key == "error.compare_pictures"


def test_an_unfinished_run_has_no_model_yet(finished: Finished) -> None:
    """It is refused by its name, with what to do."""
    by = TrainHandlers(finished.atelier)
    _, job = by.start(
        Visit(),
        task="text-classification",
        method="lora",
        model=finished.model,
        dataset="samples/reviews",
        name="early",
        more='{"max_steps": 100000, "device": "cpu"}',
    )
    by.stop(Visit(), job)
    *_, last = [shown for shown in by.follow(Visit(), job) if shown]
    assert last[2]["state"] == "cancelled"
    assert [one["visible"] for one in last[3:6]] == [False, True, False]
    with pytest.raises(NotAModel, match="run/early"):
        AfterHandlers(finished.atelier).compare(Visit(), "x", job=job)
