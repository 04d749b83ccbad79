"""The Evaluate tab without a browser: real starters on samples, rows and cells, wrong inputs in words, and who may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.atelier import Atelier, open_atelier
from core.errors import AtelierError, InvalidInput, NotAllowed, UnknownName, WrongTask
from core.settings import Mode, Settings
from tabs._events import Visit
from tabs.evaluation._desk import EvaluateHandlers
from tabs.evaluation._form import datasets, settings_of
from tabs.evaluation._run_view import counted_by
from tabs.evaluation._watched import Watched
from tests.core.test_runs import write_run
from tests.fakes.models import tiny_bert

STARTER = "starter/sentiment"
FORM = {"task": "text-classification", "dataset": "samples/reviews", "file": None, "max_samples": 24, "draws": 100}


@dataclass(frozen=True)
class Done:
    """An instance with one evaluation that has ended."""

    atelier: Atelier
    by: EvaluateHandlers
    job: str
    tiny: str
    shown: tuple[Any, ...]
    """What the page was told last."""


def open_own(home: Path, **settings: Any) -> Atelier:
    """Open an instance."""
    return open_atelier(Settings(home=home, **settings))


def evaluate(by: EvaluateHandlers, visit: Visit | None = None, **form: Any) -> tuple[str, list[Any]]:
    """Evaluate to the end; returns the job and all that the page was shown."""
    visit = visit or Visit()
    _, job = by.start(visit, **{**FORM, **form})
    return job, [shown for shown in by.follow(visit, job) if shown]


def on_screen(shown: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return what each output shows in the end: what it was told last, updates that leave it as it is aside."""
    return tuple(next((one for one in reversed(told) if one != gr.skip()), None) for told in zip(*shown, strict=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """Evaluate a starter beside a tiny model that guesses, on a sample."""
    folder = tmp_path_factory.mktemp("evaluation")
    atelier, tiny = open_own(folder / "home"), str(tiny_bert(folder / "tiny"))
    by = EvaluateHandlers(atelier)
    job, shown = evaluate(by, models=[STARTER, tiny], metrics=["accuracy", "f1"])
    yield Done(atelier, by, job, tiny, on_screen(shown))
    assert atelier.shutdown(20)


def test_a_result_shows_numbers_intervals_and_who_is_better(done: Done) -> None:
    """Each model has a card with 95 % intervals and the metric's maker; who is better is told in words."""
    view, result = done.by.status(Visit(), done.job)
    assert result["state"] == "succeeded"
    found = result["evaluation"]
    accuracy = found["models"][0]["metrics"][0]
    told, interval = accuracy["values"][0]["value"], accuracy["values"][0]["interval"]
    assert f"<strong>{told:.4g}</strong> accuracy" in view
    assert f"{interval['low']:.4g} – {interval['high']:.4g}" in view
    assert f"scikit-learn {accuracy['implementation']['version']} · sklearn.metrics.accuracy_score" in view
    assert view.count('class="score-card"') == 2
    assert found["comparisons"][0]["sentence"]["text"] in view
    assert found["data"]["hash"][:12] in view
    assert found["code_version"] in view
    korean, _ = done.by.status(Visit(language="ko"), done.job)
    assert "95 % 신뢰 구간" in korean
    assert found["comparisons"][0]["sentence"]["text"] not in korean


def test_the_page_is_told_what_can_be_chosen(done: Done) -> None:
    """Once over there is nothing to stop, and the first model's details and worst rows stand there."""
    view, job, stop, column, code, model, other, details, rows, result, *place = done.shown
    assert 'class="score-card"' in view
    assert (job["value"], stop["visible"], column["visible"]) == (done.job, False, True)
    assert (model["choices"], model["value"]) == ([STARTER, done.tiny], STARTER)
    assert other["visible"]
    assert "<svg" in details
    assert result["total"] == 24
    assert rows.count("<tr>") == 25
    assert place == ["", "", 1]
    assert "pandas.read_parquet" in code
    assert f'{{"job": "{done.job}"}}' in code


def test_a_cell_of_the_matrix_shows_its_rows(done: Done) -> None:
    """The tiny model says one thing of everything; its cells hold all rows, and a click brings those of one."""
    _, result = done.by.status(Visit(), done.job)
    found = result["evaluation"]["models"][1]["charts"]["confusion"]
    expected, row = next((label, row) for label, row in zip(found["labels"], found["matrix"], strict=True) if any(row))
    place = next(place for place, count in enumerate(row) if count)
    clicked = {"expected": expected, "predicted": found["labels"][place]}
    view, rows, *where = done.by.chosen_rows(Visit(told=clicked), done.job, model=done.tiny)
    assert rows["total"] == row[place]
    assert {one["reference"] for one in rows["rows"]} == {expected}
    assert where == [expected, found["labels"][place], 1]
    assert 'data-expected=""' in view
    details, *_ = done.by.details(Visit(), done.job, model=done.tiny)
    assert f'data-expected="{expected}"' in details


def test_won_rows_stand_side_by_side(done: Done) -> None:
    """On what one wins the other loses; both answers are in each row."""
    _, won = done.by.rows(Visit(), done.job, model=STARTER, other_model=done.tiny, order="won")
    _, lost = done.by.rows(Visit(), done.job, model=done.tiny, other_model=STARTER, order="lost")
    assert won["total"] == lost["total"] > 0
    assert {one["row"] for one in won["rows"]} == {one["row"] for one in lost["rows"]}
    scores = [(one["answers"][STARTER]["score"], one["answers"][done.tiny]["score"]) for one in won["rows"]]
    assert set(scores) == {(1.0, 0.0)}


def test_two_evaluations_are_compared(done: Done) -> None:
    """The same rows, evaluated at another time with another model, give the comparison of one evaluation."""
    other, _ = evaluate(done.by, models=[done.tiny], metrics=["accuracy", "f1"])
    view, across = done.by.compare(Visit(), done.job, STARTER, other, done.tiny)
    _, within = done.by.compare(Visit(), done.job)
    assert across == within
    assert across["sentence"]["text"] in view
    assert done.by.models_of(Visit(), other)["value"] == done.tiny
    with pytest.raises(InvalidInput) as same:
        done.by.compare(Visit(), done.job, STARTER, "", STARTER)
    assert same.value.sentence.key == "error.evaluate_same_model"


def test_a_model_that_cannot_be_evaluated_says_why(done: Done) -> None:
    """Beside the others stands a card with its refusal, not a missing one."""
    job, _ = evaluate(done.by, models=[STARTER, "starter/nli"], max_samples=6)
    view, result = done.by.status(Visit(), job)
    assert [one["n"] for one in result["evaluation"]["models"]] == [6, 0]
    assert "starter/nli has no label for" in view
    with pytest.raises(UnknownName):
        done.by.rows(Visit(), job, model="starter/nli")


def test_texts_show_where_they_differ(done: Done) -> None:
    """A translation's rows mark what is not in the reference, and what is missing of it."""
    values = {"task": "translation", "dataset": "samples/translations", "models": "", "num_beams": 1, "max_samples": 8}
    job, shown = evaluate(done.by, **values)
    assert "<ins>" in shown[-1][8]
    assert "<del>" in shown[-1][8]
    assert "signature" not in shown[-1][0]
    metric = done.by.status(Visit(), job)[1]["evaluation"]["models"][0]["metrics"][0]
    assert counted_by(metric["implementation"]).endswith(metric["implementation"]["signature"])


def test_words_show_their_tags(done: Done) -> None:
    """A sentence whose tags are all right says so; of others each wrong word stands beside both tags."""
    values = {"task": "token-classification", "dataset": "samples/entities", "models": "", "max_samples": 8}
    _, shown = evaluate(done.by, **values)
    assert "✓" in shown[-1][8] or "<ins>" in shown[-1][8]
    assert 'class="heat confusion"' in shown[-1][7]


def test_what_is_not_there_is_refused_in_words(done: Done, tmp_path: Path) -> None:
    """No data, five models, a metric of another task, two sources, no task, no evaluation."""
    asked: dict[str, dict[str, Any]] = {
        "error.evaluate_no_data": {"dataset": ""},
        "error.evaluate_too_many_models": {"models": [f"starter/{place}" for place in range(5)]},
        "error.evaluate_unfit_metric": {"metrics": ["rouge"]},
        "error.train_two_sources": {"file": str(tmp_path / "x.csv")},
        "error.unknown_evaluation_task": {"task": "text-to-image"},
        "error.number_outside": {"draws": 1},
    }
    for key, changed in asked.items():
        with pytest.raises(AtelierError) as refusal:
            done.by.start(Visit(), **{**FORM, "models": [STARTER], **changed})
        assert refusal.value.sentence.key == key
    nowhere = EvaluateHandlers(open_own(tmp_path / "empty"))
    for handler in (nowhere.stop, nowhere.rows, nowhere.compare):
        with pytest.raises(InvalidInput, match="no evaluation"):
            handler(Visit(), job="")
    assert nowhere.status(Visit(), "")[1] is None


def test_a_program_that_names_no_model_has_the_tasks_own(done: Done) -> None:
    """What the page shows first belongs to the first task; of another task it means nothing chosen."""
    settings = settings_of(done.atelier, {"task": "summarization", "models": [STARTER], "dataset": "samples/headlines"})
    assert settings.model_names == ("",)
    assert settings_of(done.atelier, {**FORM, "models": [STARTER]}).model_names == (STARTER,)


def test_a_stopped_evaluation_keeps_what_is_done(done: Done) -> None:
    """The page says that rows come at a good end, and the handler for programs refuses."""
    _, job = done.by.start(Visit(), **{**FORM, "models": [STARTER], "max_samples": 0, "seed": 5})
    done.by.stop(Visit(), job)
    *_, last = [shown for shown in done.by.follow(Visit(), job) if shown]
    state = done.by.status(Visit(), job)[1]["state"]
    assert state in {"cancelled", "succeeded"}
    assert last[2]["visible"] is False
    if state == "cancelled":
        with pytest.raises(AtelierError):
            done.by.rows(Visit(), job)


def test_a_run_is_offered_by_what_it_held_out(tmp_path: Path) -> None:
    """Samples come first, then runs of the task."""
    own = open_own(tmp_path / "home")
    write_run(own.settings.runs_folder, "feel")
    assert datasets(own, "text-classification") == ["samples/reviews", "run/feel"]
    assert datasets(own, "translation") == ["samples/translations"]
    with pytest.raises(WrongTask):
        EvaluateHandlers(own).start(Visit(), **{**FORM, "task": "translation", "dataset": "run/feel", "models": ""})


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Atelier]:
    """Give a Space without an owner's password: everybody is a visitor."""
    opened = open_own(tmp_path / "space", mode=Mode.SPACE, host="127.0.0.1")
    yield opened
    assert opened.shutdown(20)


def test_a_visitor_evaluates_uploads_and_samples_alone(space: Atelier, done: Done, tmp_path: Path) -> None:
    """Starters on one's own rows are everybody's; the Hub's data, runs, folders and servers are the owner's."""
    by, ada = EvaluateHandlers(space), Visit(visitor="ada")
    for changed in (
        {"dataset": "stanfordnlp/imdb"},
        {"dataset": "run/feel"},
        {"models": [done.tiny]},
        {"models": ["http://127.0.0.1:9/v1#m"], "task": "text-generation", "dataset": "samples/instructions"},
    ):
        with pytest.raises(NotAllowed):
            by.start(ada, **{**FORM, "models": [STARTER], **changed})
    file = tmp_path / "own.csv"
    file.write_text("text,label\nA wonderful film,positive\nA dreadful film,negative\n", encoding="utf-8")
    job, shown = evaluate(by, ada, models=[STARTER], dataset="", file=str(file))
    assert by.status(ada, job)[1]["state"] == "succeeded", shown


def test_visitors_never_see_each_other(space: Atelier) -> None:
    """Another visitor's evaluation is as if it were not there, by its id and in the list."""
    by, ada, bob = EvaluateHandlers(space), Visit(visitor="ada"), Visit(visitor="bob")
    job, _ = evaluate(by, ada, models=[STARTER], max_samples=4)
    assert by.status(bob, "")[1] is None
    assert by.choices(bob)["choices"] == []
    for handler in (by.status, by.stop, by.rows, by.compare):
        with pytest.raises(UnknownName):
            handler(bob, job=job)
    assert json.dumps(by.choices(ada)["choices"]).count(job) == 1


def test_a_page_looks_at_one_evaluation_at_a_time() -> None:
    """Who begins to look at another no longer looks at the first; another page goes on."""
    watched = Watched()
    first, elsewhere = watched.alone("page", iter(range(9))), watched.alone("other", iter(range(9)))
    assert (next(first), next(elsewhere)) == (0, 0)
    second = watched.alone("page", iter("ab"))
    assert next(second) == "a"
    assert list(first) == []
    assert list(second) == ["b"]
    assert list(elsewhere) == list(range(1, 9))
    assert list(watched.alone("page", iter("c"))) == ["c"]
