"""What a metric sums up gives the metric's own number: else its interval would be another score's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.material import Material
from core.evaluation.measured import Measured
from core.evaluation.measuring import measure, row_scores
from core.evaluation.reading import Reader, iob2, names_for, tags_of
from core.evaluation.resampling import bootstrap
from core.evaluation.tasks import EVALUATION_TASKS, LANGUAGE, TEXTS, metrics_for
from core.training.data.prepared import ANSWERS, CHAT, LABELS, PAIRS, PLAIN, WORDS

NAMES = ("bird", "cat", "dog")


def labelled(rows: int = 60, names: tuple[str, ...] = NAMES) -> Material:
    """Return answers of a classifier that is right more often than not."""
    chance = np.random.default_rng(2)
    expected = [names[place] for place in chance.integers(len(names), size=rows)]
    answers = []
    for label in expected:
        scores = chance.dirichlet(np.ones(len(names)))
        scores[names.index(label)] += 0.5
        told = dict(zip(names, (scores / scores.sum()).tolist(), strict=True))
        answers.append({"label": max(told, key=told.__getitem__), "scores": told})
    return Material("text-classification", LABELS, [{"text": "x", "label": one} for one in expected], answers)


def tagged() -> Material:
    """Return tags of words, some of them right."""
    expected = [["B-PER", "I-PER", "O"], ["O", "B-LOC"], ["O", "O"], ["B-LOC", "O", "B-PER"]]
    answered = [["B-PER", "I-PER", "O"], ["B-LOC", "B-LOC"], ["O", "O"], ["B-PER", "O", "O"]]
    rows = [{"tokens": ["x"] * len(tags), "tags": tags} for tags in expected]
    return Material("token-classification", WORDS, rows, answered)


def answered(*, some_without: bool) -> Material:
    """Return answers to questions, some of which may have none."""
    expected = [["the cat"], ["a dog", "dog"], [] if some_without else ["the"], ["Paris in France"]]
    rows = [{"question": "?", "context": "x", "answers": {"text": one}} for one in expected]
    return Material("question-answering", ANSWERS, rows, ["cat", "the dog barks", "", "Paris"])


def written(shape: str = PAIRS, task: str = "translation") -> Material:
    """Return texts beside others."""
    expected = ["the cat sat on the mat today", "a dog barks at night", "we love it", "nobody came"]
    answers = ["the cat sat on a mat today", "the dog barks at night", "we love it", "everybody left early"]
    rows = [{"source": "x", "target": one, "messages": [{"role": "user", "content": one}]} for one in expected]
    return Material(task, shape, rows, answers)


def expected_texts() -> Material:
    """Return losses of running text."""
    losses = [{"loss": 2.0, "tokens": 10, "bytes": 40}, {"loss": 3.5, "tokens": 3, "bytes": 9}]
    return Material("text-generation", PLAIN, [{"text": "x"}] * 2, losses)


def check(found: Measured) -> None:
    """Compare each number with what its sums tell."""
    assert found.refusal is None, found.refusal
    assert found.tallies
    for key, tally in found.tallies.items():
        assert tally.value == pytest.approx(found.values[key], abs=1e-9), (found.name, key)
        interval = bootstrap(tally, 300, 1)
        assert interval is not None, (found.name, key)
        assert interval.low <= found.values[key] <= interval.high or found.name in ("ece", "sacrebleu"), (
            found.name,
            key,
        )


@pytest.mark.parametrize("name", [one for one in EVALUATION_TASKS["text-classification"].fitting if one != "roc_auc"])
def test_metrics_of_labels(name: str) -> None:
    """Every metric of labels and probabilities but the ranking."""
    check(measure(name, labelled()))


def test_a_ranking_has_no_interval() -> None:
    """Its sums would be as many as its rows; of two labels it is that of the second, of more each against the rest."""
    for names in (NAMES, ("no", "yes")):
        found = measure("roc_auc", labelled(names=names))
        assert 0.5 < found.values["roc_auc"] <= 1
        assert not found.tallies


def test_metrics_of_words_and_answers() -> None:
    """Entities, and answers as both versions of SQuAD count them."""
    check(measure("seqeval", tagged()))
    check(measure("squad", answered(some_without=False)))
    silent = measure("squad", answered(some_without=True))
    assert silent.name == "squad_v2"
    check(silent)


@pytest.mark.parametrize("name", [one for one in TEXTS if one not in ("bleu", "meteor", "bertscore")])
def test_metrics_of_texts(name: str) -> None:
    """Every metric of texts that can be resampled."""
    check(measure(name, written()))


@pytest.mark.parametrize("name", LANGUAGE)
def test_metrics_of_expected_texts(name: str) -> None:
    """Perplexity and bits a byte."""
    check(measure(name, expected_texts()))


def test_bleu_and_meteor_stand_alone() -> None:
    """They have a number and no interval."""
    for name in ("bleu", "meteor"):
        found = measure(name, written())
        assert 0 < found.values[name] < 1
        assert not found.tallies


def test_a_refusal_is_told_and_not_raised() -> None:
    """A label without a probability: log loss has no number, and says why."""
    material = labelled()
    rows, answers = [*material.rows, {"text": "x", "label": "fish"}], [*material.answers, material.answers[0]]
    strange = Material(material.task, LABELS, rows, answers)
    found = measure("log_loss", strange)
    assert not found.values
    assert found.refusal is not None
    assert found.refusal.key == "error.evaluate_no_probability"
    assert measure("accuracy", strange).values


def test_scores_of_rows() -> None:
    """Right or wrong, F1 of a row's entities and of its answer, likeness of texts, bits of a byte."""
    assert row_scores(tagged()) == pytest.approx([1, 2 / 3, 1, 0])
    assert row_scores(answered(some_without=True)) == pytest.approx([1, 2 / 3, 1, 0.5])
    assert set(row_scores(labelled())) <= {0.0, 1.0}
    translated = row_scores(written())
    assert translated[2] == 100
    assert translated[3] < 30
    assert row_scores(written(task="summarization"))[2] == 1
    assert row_scores(expected_texts())[0] == pytest.approx(20 / 40 / np.log(2))


def test_metrics_follow_the_data() -> None:
    """Running text is expected, prompts are answered; what does not fit is refused with what does."""
    assert metrics_for("text-generation", PLAIN, ()) == ("perplexity", "bits_per_byte")
    assert metrics_for("text-generation", CHAT, ()) == ("rouge", "exact_match")
    with pytest.raises(InvalidInput):
        metrics_for("text-generation", CHAT, ("perplexity",))


ENTITIES: list[dict[str, Any]] = [
    {"entity_group": "PER", "start": 0, "end": 12},
    {"entity_group": "LOC", "start": 22, "end": 28},
    {"entity_group": "LOC", "start": 29, "end": 34},
]


def test_entities_become_tags() -> None:
    """Characters of a text are words again: neighbours of one entity go on, those of two begin anew."""
    words = ["Ada", "Lovelace", "works", "in", "London", "Paris"]
    assert tags_of(ENTITIES, words, plain=False, names={}) == ["B-PER", "I-PER", "O", "O", "B-LOC", "B-LOC"]
    named = {"PER": "PERSON", "LOC": "PLACE"}
    assert tags_of(ENTITIES, words, plain=True, names=named) == ["PERSON", "PERSON", "O", "O", "PLACE", "PLACE"]
    assert tags_of([], words, plain=False, names={}) == ["O"] * 6


def test_other_schemes_are_read() -> None:
    """IOBES and BILOU say the same as IOB2."""
    assert iob2(["B-PER", "E-PER", "S-LOC", "O", "U-LOC", "L-PER", "NUM"]) == [
        *("B-PER", "I-PER", "B-LOC", "O", "B-LOC", "I-PER", "NUM")
    ]


@pytest.mark.parametrize(
    ("wanted", "offered", "told", "found"),
    [
        (("a", "b"), ("a", "b", "c"), {}, {"a": "a", "b": "b"}),
        (("good",), ("BAD", "GOOD"), {}, {"GOOD": "good"}),
        (("0", "1"), ("NEGATIVE", "POSITIVE"), {}, {"NEGATIVE": "0", "POSITIVE": "1"}),
        (("1",), ("LABEL_0", "LABEL_1"), {}, {"LABEL_1": "1"}),
        (("up", "down"), ("P", "N"), {"up": "P", "down": "N"}, {"P": "up", "N": "down"}),
    ],
)
def test_labels_find_each_other(
    wanted: tuple[str, ...], offered: tuple[str, ...], told: dict[str, str], found: dict[str, str]
) -> None:
    """The same word, but for case; numbers mean the model's order; what is told goes first."""
    assert names_for(wanted, offered, told, "m") == found


@pytest.mark.parametrize(
    ("wanted", "offered", "told"),
    [
        (("good", "fine"), ("good", "bad"), {}),
        (("1", "2"), ("negative", "positive", "mixed"), {}),
        (("5",), ("LABEL_0", "LABEL_1"), {}),
        (("up",), ("P", "N"), {"up": "Q"}),
    ],
)
def test_unknown_labels_are_refused(wanted: tuple[str, ...], offered: tuple[str, ...], told: dict[str, str]) -> None:
    """A class that the model lacks, stars that begin with 1, and a label that is told but not there."""
    with pytest.raises(InvalidInput) as refusal:
        names_for(wanted, offered, told, "m")
    assert refusal.value.sentence.key == "error.evaluate_labels_unknown"
    assert refusal.value.sentence.values["known"] == ", ".join(offered)


def test_a_result_is_read_in_the_datas_words() -> None:
    """A label with all its probabilities."""
    read = Reader(LABELS, {"P": "up", "N": "down"})
    found = read.answer([{"label": "N", "score": 0.7}, {"label": "P", "score": 0.3}], {})
    assert found == {"label": "down", "scores": {"down": 0.7, "up": 0.3}}
