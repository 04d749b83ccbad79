"""What all metrics share: rows in, evaluate's keys out, refusals in words, and who computed it."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest

from core.errors import AtelierError, InvalidInput, UnknownName
from core.evaluation import combine, load, names
from core.evaluation.losses import bits_per_byte, perplexity, scores_of_loss
from core.evaluation.metric import MOST_ROWS


def refusal(**given: Any) -> str:
    """Return the key of the sentence with which accuracy refuses a call."""
    with pytest.raises(AtelierError) as caught:
        load("accuracy").compute(**given)
    return caught.value.sentence.key


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"predictions": [1, 0], "references": [1]}, "error.metric_unequal"),
        ({"predictions": [], "references": []}, "error.metric_empty"),
        ({"predictions": [1]}, "error.metric_missing"),
        ({"predictions": [1], "references": [1], "averge": "macro"}, "error.metric_option"),
        ({"predictions": [float("nan")], "references": [1]}, "error.metric_not_finite"),
        ({"predictions": [None, 1], "references": [1, 1]}, "error.metric_missing_value"),
        ({"predictions": [0.3, 0.7], "references": [0, 1]}, "error.metric_not_labels"),
        ({"predictions": ["cat", "dog"], "references": [0, 1]}, "error.metric_label_kinds"),
        ({"predictions": [[0.1, 0.9], [0.2]], "references": [0, 1]}, "error.metric_ragged"),
        ({"predictions": [[0, 1], [1, 0]], "references": [0, 1]}, "error.metric_shapes"),
        ({"predictions": range(MOST_ROWS + 1), "references": range(MOST_ROWS + 1)}, "error.metric_too_many"),
        ({"predictions": [0, 1], "references": [0, 1], "sample_weight": [1.0]}, "error.metric_refused"),
    ],
)
def test_what_cannot_be_scored_is_refused(given: dict[str, Any], key: str) -> None:
    """Unequal, empty, missing, unknown, NaN, mixed, ragged and too many rows each have their sentence."""
    assert refusal(**given) == key


def test_a_refusal_names_row_and_column() -> None:
    """The sentence of a NaN says where it stands, counted from one."""
    with pytest.raises(InvalidInput, match="references, row 3"):
        load("accuracy").compute(predictions=[1, 1, 1], references=[1, 1, float("nan")])


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """A name that is not there, another kind of module and several processes are refused."""
    with pytest.raises(UnknownName, match=r"accuracy.*squad"):
        load("acuracy")
    with pytest.raises(InvalidInput, match="module_type"):
        load("accuracy", module_type="measurement")
    with pytest.raises(InvalidInput, match="one process"):
        load("accuracy", num_process=2)
    with pytest.raises(InvalidInput, match="multilabel"):
        load("accuracy", "multiclass")
    with pytest.raises(InvalidInput, match="trust"):
        load("accuracy", trust=True)


def test_keywords_about_files_change_nothing() -> None:
    """What evaluate.load takes for its cache and downloads is accepted, so that a reader's call works as it is."""
    metric = load("accuracy", experiment_id="mine", keep_in_memory=True, cache_dir="/nowhere")
    assert metric.compute(predictions=[1], references=[1]) == {"accuracy": 1.0}


def test_rows_can_be_added_one_by_one_and_in_batches() -> None:
    """add, add_batch and compute see one list of rows, which compute empties."""
    metric = load("accuracy")
    metric.add(prediction=1, reference=1)
    metric.add_batch(predictions=np.array([0, 1]), references=[1, 1])
    assert len(metric) == 3
    assert metric.compute(predictions=[1], references=[1]) == {"accuracy": 0.75}
    assert len(metric) == 0
    with pytest.raises(InvalidInput, match="predictions, references"):
        metric.compute()
    with pytest.raises(InvalidInput, match="labels"):
        metric.add(labels=1)


def test_a_result_names_who_computed_it() -> None:
    """Library, version, function and all settings stand beside the scores, and as JSON."""
    scores = load("f1").compute(predictions=[1, 0], references=[1, 1], average="macro")
    told = scores.implementation.as_dict()
    assert (told["library"], told["function"]) == ("scikit-learn", "sklearn.metrics.f1_score")
    assert told["version"][0].isdigit()
    assert told["settings"] == {"labels": None, "pos_label": 1, "average": "macro", "sample_weight": None}
    assert json.loads(json.dumps(told)) == told


def test_scores_are_json() -> None:
    """Arrays become lists, and what JSON has no word for becomes null."""
    scores = load("f1").compute(predictions=[0, 2, 1, 0, 0, 1], references=[0, 1, 2, 0, 1, 2], average=None)
    assert json.loads(json.dumps(scores.plain()))["f1"] == pytest.approx([0.8, 0, 0])
    assert scores_of_loss(float("nan")).plain() == {"perplexity": None}


def test_long_settings_are_told_by_their_length() -> None:
    """Ten thousand weights are not repeated in the result."""
    scores = load("accuracy").compute(predictions=[1] * 10_000, references=[1] * 10_000, sample_weight=[1.0] * 10_000)
    assert scores.implementation.settings["sample_weight"] == "10000 values"


def test_metrics_work_side_by_side() -> None:
    """Eight threads, each with a metric of its own, get the answers of their own rows."""
    answers: dict[int, float] = {}

    def work(right: int) -> None:
        metric = load("accuracy")
        for row in range(80):
            metric.add(prediction=int(row < right), reference=1)
        answers[right] = metric.compute()["accuracy"]

    threads = [threading.Thread(target=work, args=(10 * right,)) for right in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {right: right / 80 for right in range(10, 90, 10)}


def test_several_metrics_are_one() -> None:
    """Combined, each metric gets the options that it has, and equal keys are told apart by names."""
    both = combine(["accuracy", "f1"])
    both.add_batch(predictions=[0, 2, 1, 0, 0, 1], references=[0, 1, 2, 0, 1, 2])
    assert both.compute(average="micro") == pytest.approx({"accuracy": 1 / 3, "f1": 1 / 3})
    twice = combine([load("chrf"), "sacrebleu"]).compute(predictions=["a b c d"], references=["a b c d"])
    assert {"chrf_score", "sacrebleu_score", "bp"} <= set(twice)


def test_every_metric_tells_its_options() -> None:
    """Each name loads, and its keywords with their defaults can be listed."""
    for name in names():
        assert isinstance(load(name).options, dict)
    assert load("chrf").options["word_order"] == 0


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    """Perplexity is exp of the mean negative log-likelihood, as transformers documents it; bits divide by ln 2."""
    assert perplexity(2.0) == pytest.approx(7.38905609893065, abs=1e-6)
    assert bits_per_byte(np.log(2.0), tokens=10, text_bytes=40) == pytest.approx(0.25, abs=1e-12)
    scores = scores_of_loss(np.log(4.0), tokens=3, text_bytes=6)
    assert scores == pytest.approx({"perplexity": 4.0, "bits_per_byte": 1.0})
    assert scores.notes == ()


def test_a_loss_without_a_perplexity_says_why() -> None:
    """NaN, overflow and 0 each have their reason; no bytes are refused."""
    assert [note.key for note in scores_of_loss(float("nan")).notes] == ["reason.metric_loss_nan"]
    assert scores_of_loss(1_000.0)["perplexity"] == float("inf")
    assert [note.key for note in scores_of_loss(1_000.0).notes] == ["reason.metric_loss_large"]
    assert [note.key for note in scores_of_loss(0.0).notes] == ["reason.metric_perfect"]
    with pytest.raises(InvalidInput, match="at least one token"):
        bits_per_byte(1.0, tokens=0, text_bytes=5)
