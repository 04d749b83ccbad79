"""Rows to evaluate on: read as a training reads them, all of them, in one order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.atelier import Atelier
from core.errors import BadFile, InvalidInput
from core.evaluation.data import EvaluationData, read_data, shape_of
from core.evaluation.reading import input_of, reference_of, shown
from core.evaluation.settings import EvaluateSettings
from core.jobs.runner import State
from core.training.data.prepared import ANSWERS, CHAT, COMPLETION, LABELS, PAIRS, PLAIN, WORDS
from core.training.data.watch import Watch
from tests.core.evaluation.conftest import ended, evaluated, feelings, write_rows
from tests.fakes.models import tiny_bert


def read(**settings: Any) -> EvaluationData:
    """Read the data that settings name."""
    return read_data(EvaluateSettings(**settings), None, Watch())


def test_all_rows_are_read_in_order(tmp_path: Path) -> None:
    """None is held out and none is shuffled; the hash is of these rows, wherever they lie."""
    file = write_rows(tmp_path / "rows.jsonl", feelings())
    found = read(file=file)
    assert [row["text"] for row in found.rows] == [row["text"] for row in feelings()]
    assert found.labels == ("negative", "positive")
    assert (found.shape, found.columns) == (LABELS, {"text": "text", "label": "label"})
    assert read(file=write_rows(tmp_path / "copy" / "other.jsonl", feelings())).data_hash == found.data_hash
    assert read(file=write_rows(tmp_path / "less.jsonl", feelings()[1:])).data_hash != found.data_hash


def test_one_class_is_enough(tmp_path: Path) -> None:
    """A training needs two; whoever only counts may have one."""
    rows = [row for row in feelings(1) if row["label"] == "positive"]
    assert read(file=write_rows(tmp_path / "rows.jsonl", rows)).labels == ("positive",)


def test_rows_are_drawn_by_the_seed(tmp_path: Path) -> None:
    """As many as are asked for, the same again with the same seed, and a note says so."""
    file = write_rows(tmp_path / "rows.jsonl", feelings())
    one, same, other = (read(file=file, max_samples=7, seed=seed) for seed in (1, 1, 2))
    assert len(one.rows) == 7
    assert one.data_hash == same.data_hash != other.data_hash
    assert [note.key for note in one.notes] == ["say.data_drawn"]


def test_columns_are_guessed_and_told(tmp_path: Path) -> None:
    """As for a training."""
    rows = [{"words": "good film", "feeling": "up"}, {"words": "bad film", "feeling": "down"}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    assert read(file=file, columns="text=words, label=feeling").labels == ("down", "up")
    with pytest.raises(BadFile) as refusal:
        read(file=file, columns="text=word")
    assert refusal.value.sentence.key == "error.no_such_column"


def test_bad_rows_are_named(tmp_path: Path) -> None:
    """File, row, column and cause; empty references are refused so."""
    rows = [{"source": "a", "target": "b"}, {"source": "a", "target": " "}]
    with pytest.raises(BadFile) as refusal:
        read(task="translation", file=write_rows(tmp_path / "rows.jsonl", rows))
    assert refusal.value.sentence.key == "error.data_problems"
    assert "target" in str(refusal.value)


def test_no_data_are_refused() -> None:
    """Neither file nor data set."""
    with pytest.raises(InvalidInput) as refusal:
        read()
    assert refusal.value.sentence.key == "error.evaluate_no_data"


@pytest.mark.parametrize(
    ("task", "sample", "shape"),
    [
        ("text-classification", "reviews", LABELS),
        ("token-classification", "entities", WORDS),
        ("question-answering", "questions", ANSWERS),
        ("translation", "translations", PAIRS),
        ("summarization", "headlines", PAIRS),
        ("text-generation", "stories", PLAIN),
        ("text-generation", "instructions", CHAT),
    ],
)
def test_samples_fit_their_tasks(task: str, sample: str, shape: str) -> None:
    """Each sample is data for its task; input and reference of a row are told in words."""
    found = read(task=task, dataset=f"samples/{sample}", max_samples=3)
    row = found.rows[0]
    assert (found.shape, shape_of(row)) == (shape, shape)
    assert input_of(row, shape)
    assert shown(reference_of(row, shape), shape)


def test_prompts_with_completions(tmp_path: Path) -> None:
    """What is asked is the prompt, what is expected the completion."""
    file = write_rows(tmp_path / "rows.jsonl", [{"prompt": "one, two,", "completion": "three"}])
    found = read(task="text-generation", file=file)
    assert found.shape == COMPLETION
    assert input_of(found.rows[0], COMPLETION) == "one, two,"
    assert reference_of(found.rows[0], COMPLETION) == "three"


def test_pairs_of_texts_are_read_together(atelier: Atelier, tmp_path: Path) -> None:
    """A classifier of pairs sees both: swapped or without the second, it answers otherwise."""
    model = str(tiny_bert(tmp_path / "nli", "nli", seed=4))
    labels = ("contradiction", "neutral", "entailment")
    rows = [
        {"premise": f"a {word} film", "hypothesis": f"the plot was {word}", "label": labels[place % 3]}
        for place, word in enumerate(("good", "bad", "great"))
    ]
    swapped = [{**row, "premise": row["hypothesis"], "hypothesis": row["premise"]} for row in rows]
    columns = "text=premise, text_pair=hypothesis, label=label"
    details = []
    for name, several in (("a", rows), ("b", swapped)):
        file = write_rows(tmp_path / f"{name}.jsonl", several)
        job, _ = evaluated(atelier, file=file, models=model, columns=columns)
        lines = atelier.evaluation_desk.rows(job)
        assert lines[0]["input"] == f"{several[0]['premise']}\n{several[0]['hypothesis']}"
        details.append([line[f"{model} detail"] for line in lines])
    assert details[0] != details[1]


def test_a_hub_that_cannot_be_reached_is_told(atelier: Atelier, classifier: str) -> None:
    """A data set of the Hub comes from there; offline, the job says so."""
    job = atelier.evaluation_desk.start(EvaluateSettings(dataset="org/reviews", models=classifier))
    assert ended(atelier, job) is State.FAILED
    assert atelier.evaluations.view(job).error
