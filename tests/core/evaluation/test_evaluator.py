"""Evaluations from start to result: each task with real models, beside the skills and scikit-learn on their own."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from core.atelier import Atelier
from core.errors import AtelierError, InvalidInput, UnknownName, WrongTask
from core.evaluation import asking
from core.evaluation.evaluator import DONE
from core.evaluation.settings import EvaluateSettings
from core.jobs.runner import State
from core.settings import PROJECT
from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_question
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.training.data.prepared import Row
from tests.core.evaluation.conftest import ended, evaluated, feelings, values_of, write_rows
from tests.fakes.chat_server import ANSWER, FakeChatServer
from tests.fakes.models import tiny_bert, tiny_t5
from tests.serving import until


def test_labels_are_measured_as_the_skill_gives_them(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """Predictions are those of the skill, numbers those of scikit-learn, and each has its interval."""
    rows = feelings(2)
    file = write_rows(tmp_path / "rows.jsonl", rows)
    job, found = evaluated(atelier, file=file, models=classifier, metrics="accuracy, f1, log_loss, f1_micro")
    alone = [
        classify_text(TextClassificationSettings(text=row["text"], model=classifier), atelier.registry).result
        for row in rows
    ]
    predicted, expected = [one[0]["label"].lower() for one in alone], [row["label"] for row in rows]
    (model,) = found["models"]
    numbers = values_of(model)
    told = [{score["label"]: score["score"] for score in one} for one in alone]
    chances = [[one[name] / sum(one.values()) for name in ("NEGATIVE", "POSITIVE")] for one in told]
    assert numbers["accuracy.accuracy"] == pytest.approx(accuracy_score(expected, predicted))
    assert numbers["f1.f1"] == pytest.approx(f1_score(expected, predicted, average="macro"))
    assert numbers["f1_micro.f1_micro"] == pytest.approx(accuracy_score(expected, predicted))
    assert numbers["log_loss.log_loss"] == pytest.approx(log_loss(expected, chances), abs=1e-5)
    assert all(told["interval"]["low"] <= told["value"] <= told["interval"]["high"] for told in _told(model))
    lines = atelier.evaluation_desk.rows(job)
    assert [line[f"{classifier} prediction"] for line in lines] == predicted
    assert [line["reference"] for line in lines] == expected
    assert [line[f"{classifier} score"] for line in lines] == [
        float(one == other) for one, other in zip(predicted, expected, strict=True)
    ]


def _told(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [told for one in model["metrics"] for told in one["values"]]


def test_the_record_says_how_it_came_about(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """Model, revision, data hash, code version, seed, time and memory are there, the upload's place is not."""
    file = write_rows(tmp_path / "rows.jsonl", feelings(1))
    job, found = evaluated(atelier, file=file, models=classifier, seed=5, dtype="float32")
    (model,) = found["models"]
    assert (model["model"], model["adapter"], model["run"], model["seed"]) == (classifier, None, None, 5)
    assert model["dtype"] == "float32"
    assert len(model["revision"]) >= 12
    assert model["seconds"] > 0
    assert model["peak_bytes"] > 10_000_000
    assert (model["n"], model["left_out"], model["kept"]) == (12, 0, 0)
    assert (found["data"]["rows"], len(found["data"]["hash"])) == (12, 64)
    assert found["settings"]["file"] == "rows.jsonl"
    assert len(found["code_version"]) == 16
    assert "torch" in found["versions"]
    assert str(tmp_path / "rows.jsonl") not in json.dumps(found)
    (event,) = [one for one in atelier.evaluations.follow(job).events if one.name == DONE]
    assert event.payload["model"] == classifier
    accuracy = found["models"][0]["metrics"][0]["implementation"]
    assert (accuracy["library"], accuracy["function"]) == ("scikit-learn", "sklearn.metrics.accuracy_score")


def test_charts_are_plain_data(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """Confusion, classes, reliability, curves and lengths count every row."""
    _, found = evaluated(atelier, file=write_rows(tmp_path / "rows.jsonl", feelings(2)), models=classifier)
    charts = found["models"][0]["charts"]
    assert charts["confusion"]["labels"] == ["negative", "positive"]
    assert sum(map(sum, charts["confusion"]["matrix"])) == 24
    assert [one["support"] for one in charts["per_class"]] == [12, 12]
    assert sum(one["count"] for one in charts["reliability"]) == 24
    assert sum(one["count"] for one in charts["lengths"]) == 24
    (curve,) = charts["curves"]
    assert curve["label"] == "positive"
    assert (curve["roc"]["fpr"][0], curve["roc"]["tpr"][-1]) == (0, 1)
    assert 0 <= curve["pr"]["average_precision"] <= 1


def test_two_models_are_compared(atelier: Atelier, tmp_path: Path, classifier: str, other_classifier: str) -> None:
    """Rows won and lost add up, the difference is that of the numbers, and McNemar counts what only one has right."""
    file = write_rows(tmp_path / "rows.jsonl", feelings())
    job, found = evaluated(atelier, file=file, models=f"{classifier}, {other_classifier}", draws=200)
    (compared,) = found["comparisons"]
    first, second = (values_of(model)["accuracy.accuracy"] for model in found["models"])
    assert compared["key"] == "accuracy"
    assert compared["paired"]["accuracy"]["difference"] == pytest.approx(second - first)
    assert compared["better"] + compared["worse"] + compared["equal"] == compared["rows"] == 48
    assert (compared["mcnemar"]["only_second"], compared["mcnemar"]["only_first"]) == (
        compared["better"],
        compared["worse"],
    )
    assert compared["sentence"]["key"].startswith("say.evaluation_")
    lines = atelier.evaluation_desk.rows(job)
    wins = sum(line[f"{other_classifier} score"] > line[f"{classifier} score"] for line in lines)
    assert wins == compared["better"]


@pytest.mark.parametrize("task", ["text-classification", "text-generation"])
def test_evaluations_are_compared(
    atelier: Atelier, tmp_path: Path, classifier: str, other_classifier: str, llama: str, task: str
) -> None:
    """Models of two evaluations on the same rows are compared as those of one are."""
    models = (classifier, other_classifier) if task == "text-classification" else (llama, llama)
    file = write_rows(tmp_path / "rows.jsonl", feelings(1))
    settings = {"task": task, "file": file, "columns": "text=text", "draws": 200}
    both = evaluated(atelier, **settings, models=f"{models[0]}, {models[1]}/")[1]["comparisons"][0]
    jobs = [evaluated(atelier, **settings, models=model)[0] for model in models]
    found = atelier.evaluation_desk.compare(list(zip(jobs, models, strict=True)))
    assert found["first"] == models[0]
    for name in ("rows", "better", "worse", "key", "paired", "mcnemar", "left_out"):
        assert found[name] == both[name], name


def test_evaluations_on_other_data_are_not_compared(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """Rows that do not stand beside each other, and a model that is not there, are refused."""
    one, other = (
        evaluated(atelier, file=write_rows(tmp_path / f"{copies}.jsonl", feelings(copies)), models=classifier)[0]
        for copies in (1, 2)
    )
    with pytest.raises(InvalidInput) as refusal:
        atelier.evaluation_desk.compare([(one, classifier), (other, classifier)])
    assert refusal.value.sentence.key == "error.evaluate_other_data"
    with pytest.raises(UnknownName) as unknown:
        atelier.evaluation_desk.compare([(one, classifier), (one, "nobody")])
    assert unknown.value.sentence.values["names"] == classifier


def test_the_same_model_twice_differs_nowhere(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """A model under two names is told as doing equally well, and is asked once."""
    file = write_rows(tmp_path / "rows.jsonl", feelings(1))
    _, found = evaluated(atelier, file=file, models=f"{classifier}, {classifier}/")
    assert [model["kept"] for model in found["models"]] == [0, 12]
    assert found["comparisons"][0]["sentence"]["key"] == "say.evaluation_same"


def test_words_are_measured_whole(atelier: Atelier, tmp_path: Path) -> None:
    """Entities of tagged words: references found in full have F1 1 with a model's own answers."""
    model = str(tiny_bert(tmp_path / "tagger", "token-classification"))
    rows = [
        {"tokens": ["Ada", "works", "in", "London", "."], "tags": ["B-PER", "O", "O", "B-LOC", "O"]},
        {"tokens": ["We", "love", "Paris"], "tags": ["O", "O", "B-LOC"]},
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    job, found = evaluated(atelier, task="token-classification", file=file, models=model)
    numbers = values_of(found["models"][0])
    assert set(numbers) >= {"seqeval.overall_f1", "seqeval.overall_accuracy"}
    own = [line[f"{model} prediction"].split() for line in atelier.evaluation_desk.rows(job)]
    assert [len(tags) for tags in own] == [5, 3]
    again = [{"tokens": row["tokens"], "tags": tags} for row, tags in zip(rows, own, strict=True)]
    if any(tag != "O" for tags in own for tag in tags):
        _, perfect = evaluated(
            atelier, task="token-classification", file=write_rows(tmp_path / "own.jsonl", again), models=model
        )
        assert values_of(perfect["models"][0])["seqeval.overall_f1"] == 1


def test_questions_are_put_each_to_its_context(atelier: Atelier, tmp_path: Path) -> None:
    """Answers are the skill's own; where one question has none, the second version of SQuAD counts."""
    model = str(tiny_bert(tmp_path / "reader", "question-answering"))
    context = "ada lovelace lives in london . the actor lives in paris ."
    rows: list[dict[str, Any]] = [
        {"question": "who lives in london ?", "context": context, "answers": {"text": ["ada"], "answer_start": [0]}},
        {"question": "where is the film ?", "context": context, "answers": {"text": [], "answer_start": []}},
    ]
    job, found = evaluated(
        atelier, task="question-answering", file=write_rows(tmp_path / "rows.jsonl", rows), models=model
    )
    alone = [
        answer_question(
            QuestionAnsweringSettings(
                question=row["question"], context=context, model=model, handle_impossible_answer=True
            ),
            atelier.registry,
        ).answers[0]
        for row in rows
    ]
    lines = atelier.evaluation_desk.rows(job)
    assert [line[f"{model} prediction"] or "" for line in lines] == [one.answer for one in alone]
    (metric,) = found["models"][0]["metrics"]
    assert metric["name"] == "squad_v2"
    told = {one["key"]: one for one in metric["values"]}
    assert told["f1"]["value"] / 100 == pytest.approx(sum(line[f"{model} score"] for line in lines) / 2)
    assert told["exact"]["interval"]["low"] <= told["exact"]["value"]


def test_written_texts_are_measured(atelier: Atelier, tmp_path: Path) -> None:
    """Every fitting metric of texts is measured on translations; what sums tell is what the metric tells."""
    model = str(tiny_t5(tmp_path / "t5", tiny_bert(tmp_path / "bert")))
    rows = [{"source": "a good film", "target": "good film"}, {"source": "we love it", "target": "love it"}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    metrics = "exact_match, rouge, bleu, sacrebleu, chrf, ter, wer, cer"
    _, found = evaluated(
        atelier, task="translation", file=file, models=model, metrics=metrics, max_new_tokens=6, num_beams=1
    )
    (told,) = found["models"]
    assert [one["name"] for one in told["metrics"]] == metrics.split(", ")
    assert [one["refusal"] for one in told["metrics"]] == [None] * 8
    without = {"bleu"}
    assert all(one["values"][0]["interval"] for one in told["metrics"] if one["name"] not in without)


def test_running_text_is_expected(atelier: Atelier, tmp_path: Path, llama: str) -> None:
    """Perplexity over all tokens and bits a byte agree with each other and with the rows."""
    rows = [{"text": row["text"]} for row in feelings(1)]
    job, found = evaluated(
        atelier, task="text-generation", file=write_rows(tmp_path / "rows.jsonl", rows), models=llama
    )
    numbers = values_of(found["models"][0])
    details = [json.loads(line[f"{llama} detail"]) for line in atelier.evaluation_desk.rows(job)]
    nats, tokens = sum(one["loss"] * one["tokens"] for one in details), sum(one["tokens"] for one in details)
    assert numbers["perplexity.perplexity"] == pytest.approx(math.exp(nats / tokens))
    size = sum(len(row["text"].encode()) for row in rows)
    assert numbers["bits_per_byte.bits_per_byte"] == pytest.approx(nats / size / math.log(2))
    assert found["row_score"]["lower_is_better"]


def test_prompts_are_answered_here_and_elsewhere(
    atelier: Atelier, tmp_path: Path, llama: str, chat_server: FakeChatServer
) -> None:
    """A model on another machine stands beside one of this machine, measured alike; it is asked once for each row."""
    whole = "".join(ANSWER).strip()
    rows = [{"prompt": f"what is it {place} ?", "completion": whole} for place in range(3)]
    file, name = write_rows(tmp_path / "rows.jsonl", rows), chat_server.name()
    settings = {"task": "text-generation", "file": file, "models": f"{llama}, {name}", "max_new_tokens": 8}
    _, found = evaluated(atelier, **settings)
    here, elsewhere = found["models"]
    assert values_of(elsewhere)["exact_match.exact_match"] == 1
    assert values_of(here)["exact_match.exact_match"] == 0
    assert elsewhere["device"].startswith("remote: ")
    assert [one["name"] for one in here["metrics"]] == ["rouge", "exact_match"]
    assert len(chat_server.conversations) == 3
    _, again = evaluated(atelier, **settings)
    assert [model["kept"] for model in again["models"]] == [3, 3]
    assert len(chat_server.conversations) == 3


def test_a_stop_keeps_what_was_answered(
    atelier: Atelier, tmp_path: Path, classifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled in the middle, an evaluation goes on from the rows that are there: no row is answered twice."""
    rows = feelings(100)
    file = write_rows(tmp_path / "rows.jsonl", rows)
    asked: list[str] = []
    jobs: list[str] = []
    plain = asking._Texts.__call__

    def count(self: Any, several: Sequence[Row], here: Any) -> Sequence[Any]:
        if len(asked) > 500 and jobs:
            atelier.evaluations.stop(jobs.pop())
        results = plain(self, several, here)
        asked.extend(row["text"] for row in several)
        return results

    monkeypatch.setattr(asking._Texts, "__call__", count)
    settings = EvaluateSettings(file=file, models=classifier)
    jobs.append(first := atelier.evaluation_desk.start(settings))
    assert ended(atelier, first) is State.CANCELLED
    before = len(asked)
    assert 0 < before < len(rows)
    second = atelier.evaluation_desk.start(settings)
    assert ended(atelier, second) is State.SUCCEEDED
    assert len(asked) == len(rows)
    assert len(set(asked)) == len(rows)
    (model,) = atelier.evaluation_desk.read(second)["models"]
    assert (model["kept"], model["n"]) == (before, len(rows))
    third, found = evaluated(atelier, file=file, models=classifier)
    assert third != second
    assert len(asked) == len(rows)
    assert values_of(found["models"][0]) == values_of(model)
    assert len(list((atelier.evaluation_desk.answers / model["answers"]).glob("part-*"))) < 10


KILLED = """
import os, signal, sys, time
from pathlib import Path
from core.atelier import open_atelier
from core.evaluation import asking
from core.evaluation.settings import EvaluateSettings
from core.settings import Settings

plain, asked = asking._Texts.__call__, []

def count(self, rows, here):
    if len(asked) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    asked.append(len(rows))
    return plain(self, rows, here)

asking._Texts.__call__ = count
atelier = open_atelier(Settings(home=Path(sys.argv[1])))
atelier.evaluation_desk.start(EvaluateSettings(file=sys.argv[2], models=sys.argv[3]))
time.sleep(300)
"""


def test_a_killed_server_is_no_loss(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """Kill -9 in the third batch: the job is interrupted, and the next one has the first two batches already."""
    file = write_rows(tmp_path / "rows.jsonl", feelings(60))
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(atelier.settings.home), file, classifier]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    atelier.adopt()
    (view,) = atelier.evaluation_desk.evaluations()
    assert view.state is State.INTERRUPTED
    _, found = evaluated(atelier, file=file, models=classifier)
    assert (found["models"][0]["kept"], found["models"][0]["n"]) == (512, 720)


def test_a_torn_piece_is_asked_again(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """A piece that a crash has torn counts as not there, and its rows are asked again."""
    file = write_rows(tmp_path / "rows.jsonl", feelings(2))
    _, found = evaluated(atelier, file=file, models=classifier)
    (part,) = (atelier.evaluation_desk.answers / found["models"][0]["answers"]).glob("part-*")
    part.write_bytes(part.read_bytes()[:-20])
    _, again = evaluated(atelier, file=file, models=classifier)
    assert again["models"][0]["kept"] == 0
    assert values_of(again["models"][0]) == values_of(found["models"][0])


def test_other_settings_are_other_answers(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """Answers are kept for what they were made from: another dtype, other rows or another metric."""
    file = write_rows(tmp_path / "rows.jsonl", feelings(1))
    more = write_rows(tmp_path / "more.jsonl", feelings(2))
    kept = [
        evaluated(atelier, models=classifier, **changes)[1]["models"][0]["kept"]
        for changes in (
            {"file": file},
            {"file": file, "metrics": "f1"},
            {"file": file, "dtype": "float32"},
            {"file": more},
        )
    ]
    assert kept == [0, 12, 0, 0]


def test_a_bad_row_is_left_out_and_told(
    atelier: Atelier, tmp_path: Path, classifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that fails fails alone: the others are measured, and it is counted with its reason."""
    rows = feelings(1)
    plain = asking._Texts.__call__

    def stumble(self: Any, several: Sequence[Row], here: Any) -> Sequence[Any]:
        if any(row["text"] == rows[3]["text"] for row in several):
            raise InvalidInput("error.text_empty", name="text", limit=1)
        return plain(self, several, here)

    monkeypatch.setattr(asking._Texts, "__call__", stumble)
    job, found = evaluated(atelier, file=write_rows(tmp_path / "rows.jsonl", rows), models=classifier)
    (model,) = found["models"]
    assert (model["n"], model["left_out"]) == (11, 1)
    assert model["problem"] == str(InvalidInput("error.text_empty", name="text", limit=1))
    lines = atelier.evaluation_desk.rows(job)
    assert [place for place, line in enumerate(lines) if line[f"{classifier} problem"]] == [3]
    assert lines[3][f"{classifier} prediction"] is None


def test_a_model_that_cannot_be_used_stands_beside_the_others(
    atelier: Atelier, tmp_path: Path, classifier: str
) -> None:
    """Its reason is told, the other is measured; where none is left, the evaluation fails with the first reason."""
    file = write_rows(tmp_path / "rows.jsonl", feelings(1))
    strange = str(tiny_bert(tmp_path / "topics", labels=("sport", "art")))
    _, found = evaluated(atelier, file=file, models=f"{strange}, {classifier}")
    first, second = found["models"]
    assert first["refusal"]["key"] == "error.evaluate_labels_unknown"
    assert "sport, art" in first["refusal"]["text"]
    assert set(first) == set(second)
    assert second["n"] == 12
    alone = atelier.evaluation_desk.start(EvaluateSettings(file=file, models=strange))
    assert ended(atelier, alone) is State.FAILED
    error = atelier.evaluations.view(alone).error
    assert error
    assert error.key == "error.evaluate_labels_unknown"
    assert len(list(atelier.evaluation_desk.answers.iterdir())) == 1  # of strange answers nobody would make use


def test_labels_can_be_told(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """What the data call stars the model calls feelings; numbers mean the model's labels in their order."""
    rows = feelings(1)
    stars = [{**row, "label": {"positive": "up", "negative": "down"}[row["label"]]} for row in rows]
    numbers = [{**row, "label": {"positive": 1, "negative": 0}[row["label"]]} for row in rows]
    plain = evaluated(atelier, file=write_rows(tmp_path / "a.jsonl", rows), models=classifier)[1]
    told = evaluated(
        atelier,
        file=write_rows(tmp_path / "b.jsonl", stars),
        models=classifier,
        labels="up=POSITIVE, down=NEGATIVE",
    )[1]
    counted = evaluated(atelier, file=write_rows(tmp_path / "c.jsonl", numbers), models=classifier)[1]
    one, *others = (values_of(found["models"][0])["accuracy.accuracy"] for found in (plain, told, counted))
    assert others == [one, one]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "error.evaluate_no_data"),
        ({"file": "/nowhere.csv"}, "error.evaluate_file_gone"),
        ({"dataset": "samples/reviews", "models": "starter/none"}, "error.unknown_starter"),
        ({"dataset": "run/none"}, "error.run_unknown"),
    ],
)
def test_what_cannot_begin_is_refused_at_once(atelier: Atelier, settings: dict[str, Any], key: str) -> None:
    """No job is made for data or models that are not there."""
    with pytest.raises(AtelierError) as refusal:
        atelier.evaluation_desk.start(EvaluateSettings(**settings))
    assert refusal.value.sentence.key == key
    assert atelier.evaluation_desk.evaluations() == []


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"metrics": "rouge"}, "error.evaluate_unfit_metric"),
        ({"task": "translation", "metrics": "sacrebleu, accuracy"}, "error.evaluate_unfit_metric"),
        ({"models": "a, b, c, d, e"}, "error.evaluate_too_many_models"),
        ({"file": "a.csv", "dataset": "samples/reviews"}, "error.train_two_sources"),
        ({"labels": "up"}, "error.evaluate_labels_unreadable"),
        ({"task": "poetry"}, "error.not_an_option"),
        ({"max_samples": 10_000_000}, "error.number_outside"),
    ],
)
def test_settings_are_refused_in_words(settings: dict[str, Any], key: str) -> None:
    """A metric that does not fit is refused with those that do, ten million rows with the number that is allowed."""
    with pytest.raises(InvalidInput) as refusal:
        EvaluateSettings(**settings)
    assert refusal.value.sentence.key == key
    if key == "error.evaluate_unfit_metric":
        assert str(refusal.value).rpartition(": ")[2].count(",") > 5


def test_metrics_fit_the_data_too(atelier: Atelier, tmp_path: Path, llama: str) -> None:
    """Running text has no references to compare with: the job says so, with what can be measured."""
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a good film"}])
    job = atelier.evaluation_desk.start(
        EvaluateSettings(task="text-generation", file=file, models=llama, metrics="rouge")
    )
    assert ended(atelier, job) is State.FAILED
    error = atelier.evaluations.view(job).error
    assert error
    assert error.values["fitting"] == "perplexity, bits_per_byte"


def test_a_model_elsewhere_answers_prompts_only(atelier: Atelier, chat_server: FakeChatServer) -> None:
    """Classes are asked of models that run here."""
    with pytest.raises(WrongTask) as refusal:
        atelier.evaluation_desk.start(EvaluateSettings(dataset="samples/reviews", models=chat_server.name()))
    assert refusal.value.sentence.key == "error.remote_only_chat"


def test_the_same_evaluation_twice_is_one_job(atelier: Atelier, tmp_path: Path, classifier: str) -> None:
    """A double click runs once, and the board lists it by its data."""
    settings = EvaluateSettings(file=write_rows(tmp_path / "rows.jsonl", feelings(20)), models=classifier)
    first, second = atelier.evaluation_desk.start(settings), atelier.evaluation_desk.start(settings)
    assert first == second
    (row,) = atelier.board.rows()
    assert (row.shelf, row.view.kind, row.view.settings["file_name"]) == ("evaluations", "evaluation", "rows.jsonl")
    until(lambda: not atelier.evaluations.state(first).alive)
