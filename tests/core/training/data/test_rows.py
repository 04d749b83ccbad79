"""Columns are guessed or told, rows are checked, and each problem says where it is and what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadFile, InvalidInput
from core.training.data.columns import FORMS, told_columns
from core.training.data.reading import Desk
from core.training.data.rows import read_splits
from core.training.settings import TrainSettings
from core.training.tasks import TRAIN_TASKS

Write = Callable[..., TrainSettings]
HERE = Desk(Path())
GOOD = {"review": "good film", "stars": "5"}
ASKED = {"question": "q", "context": "abc"}
CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def _refusal(settings: TrainSettings) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_splits(settings, HERE)
    return str(refusal.value)


SHARED = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
TRANSLATION = {"translation": {"en": "a", "fr": "b"}}


@pytest.mark.parametrize(
    ("task", "row", "columns", "shape"),
    [
        ("text-classification", {"id": "1", "Review": "x", "Stars": "a"}, "text=Review, label=Stars", "labels"),
        ("text-classification", {"premise x": "a long text here", "which": "b"}, "text=premise x", "labels"),
        ("translation", TRANSLATION, "source=translation.en, target=translation.fr", "pairs"),
        ("summarization", {"article": "a b", "highlights": "a"}, "source=article, target=highlights", "pairs"),
        ("text-generation", {"conversations": SHARED}, "messages=conversations", "chat"),
        ("text-generation", {"instruction": "a", "input": "b", "output": "c"}, "input=input, output=output", "chat"),
        ("text-generation", {"prompt": "a", "completion": "c"}, "prompt=prompt", "completion"),
        ("text-generation", {"content": "a"}, "text=content", "plain"),
        ("preference", {"prompt": "a", "chosen": "b", "rejected": "c"}, "prompt=prompt", "preference"),
    ],
)
def test_columns_are_guessed(over: Write, task: str, row: dict[str, Any], columns: str, shape: str) -> None:
    """Usual names, parts of objects and contents tell which column is which, and what a row is."""
    other = {name: f"z {name}" if isinstance(cell, str) else cell for name, cell in row.items()}
    found = read_splits(over(task, [row, other, other], validation_fraction=0), HERE)
    assert found.shape == shape
    assert told_columns(columns).items() <= found.columns.items()


def test_told_columns_win(over: Write) -> None:
    """What the user says goes before every guess; a column that is not there, or that the task lacks, is refused."""
    rows = [{"text": "t", "label": "l", "a": "my text", "b": str(number % 2)} for number in range(4)]
    found = read_splits(over("text-classification", rows, columns="text=a, label=b"), HERE)
    assert found.train[0]["text"] == "my text"
    assert found.labels == ("0", "1")
    assert "a, b" in _refusal(over("text-classification", rows, columns="text=zzz"))
    assert "text, label, text_pair" in _refusal(over("text-classification", rows, columns="chosen=a"))
    with pytest.raises(InvalidInput, match="text review"):
        told_columns("text review")


def test_a_missing_column_is_named(over: Write) -> None:
    """A file without what a task needs is refused with what is missing and what there is."""
    assert "no column was found for target" in _refusal(over("translation", [{"source": "a", "n": 1}]))


def test_every_task_has_its_forms() -> None:
    """The table of tasks and the table of forms have the same tasks."""
    assert set(FORMS) == set(TRAIN_TASKS)


@pytest.mark.parametrize(("rows", "said"), [
    ([GOOD, {"review": "  ", "stars": "1"}], "Row 2, column “review”: Nothing stands here."),
    ([GOOD, {"review": "x", "stars": ""}], "Row 2, column “stars”: The label is missing."),
    ([GOOD, GOOD], "all 2 rows have the label “5”"),
    ([{"review": str(n), "stars": n + 0.5} for n in range(4)], "amounts such as 0.5"),
    ([{"review": "x" * n, "stars": f"c{n}"} for n in range(1, 40)], "39 different labels"),
])  # fmt: skip
def test_labels_that_cannot_be_learnt(over: Write, rows: list[dict[str, Any]], said: str) -> None:
    """Blank cells are named; one class, amounts, and a label for each row are refused."""
    assert said in _refusal(over("text-classification", rows, validation_fraction=0))


def test_whole_numbers_are_classes(over: Write) -> None:
    """1.0 beside 2 is the class 1, and numbers are in their own order."""
    rows = [{"text": f"t{n}", "label": [10, 2.0, "1"][n % 3]} for n in range(6)]
    assert read_splits(over("text-classification", rows), HERE).labels == ("1", "2", "10")


@pytest.mark.parametrize(("task", "row", "said"), [
    ("token-classification", {"tokens": ["a", "b"], "tags": ["O"]}, "2 words, but 1 tags"),
    ("token-classification", {"tokens": ["a", "b"], "tags": ["O", "I-PER"]}, "has the tag I-PER after O"),
    ("token-classification", {"tokens": ["a", "b"], "tags": ["B-LOC", "I-PER"]}, "after B-LOC"),
    ("token-classification", {"tokens": ["a", ""], "tags": ["O", "O"]}, "Number 2 is empty"),
    ("token-classification", {"text": "ada works", "entities": [{"start": 1, "end": 3, "label": "PER"}]}, "“da”"),
    ("token-classification", {"text": "ada", "entities": [[0, 9, "PER"]]}, "does not fit a text of 3"),
    ("token-classification", {"text": "ada b", "entities": [[0, 3, "A"], [0, 5, "B"]]}, "overlaps"),
    ("question-answering", {**ASKED, "answers": "x"}, "does not stand in the context"),
    ("question-answering", {**ASKED, "answers": {"text": ["b"], "answer_start": [0]}}, "which is at 1"),
    ("question-answering", {**ASKED, "answers": {"text": ["b"], "answer_start": []}}, "1 answers, but 0 starts"),
    ("text-generation", {"messages": [{"role": "robot", "content": "x"}]}, "“robot”"),
    ("text-generation", {"messages": CHAT[:1]}, "Nothing is said by the assistant"),
    ("text-generation", {"messages": [CHAT[0], *CHAT]}, "Message 2 is by user"),
    ("text-generation", {"messages": [*CHAT, CHAT[0]]}, "The last message is not the assistant's"),
    ("text-generation", {"messages": [CHAT[0], {**CHAT[1], "content": " "}]}, "Message 2 (assistant) is empty"),
    ("text-generation", {"messages": [CHAT[0], {**CHAT[1], "tool_calls": [{}]}]}, "calls a tool"),
    ("preference", {"prompt": "p", "chosen": "a", "rejected": "a "}, "Chosen and rejected are the same"),
    ("reward", {"chosen": CHAT, "rejected": [{"role": "user", "content": "no"}, CHAT[1]]}, "differ before"),
])  # fmt: skip
def test_rows_that_cannot_be_learnt_from(over: Write, task: str, row: dict[str, Any], said: str) -> None:
    """Each cause is said with the file, the row and the column."""
    refusal = _refusal(over(task, [row]))
    assert said in refusal
    assert "rows.jsonl" in refusal
    assert "Row 1, column" in refusal


def test_the_first_twenty_problems_are_named(over: Write) -> None:
    """A file full of problems names twenty and counts all."""
    said = _refusal(over("fill-mask", [{"text": [1]} for _ in range(50)], columns="text=text"))
    assert "50 problems" in said
    assert "Row 20," in said
    assert "Row 21," not in said


def test_blank_rows_are_left_out_and_counted(over: Write) -> None:
    """A row without anything in it is no problem; the others keep their numbers."""
    found = read_splits(over("fill-mask", [{"text": "a"}, {}, {"text": "b"}], validation_fraction=0), HERE)
    assert [row["row"] for row in found.train] == [1, 3]
    assert "1 rows are blank" in str(found.notes[0])


def test_spans_become_tags_in_every_script(over: Write) -> None:
    """Spans over characters become BIO tags of words; Chinese is cut into characters."""
    row = {
        "text": "王小明住在台北。",
        "entities": [{"start": 0, "end": 3, "label": "PER"}, {"start": 5, "end": 7, "label": "LOC"}],
    }
    found = read_splits(over("token-classification", [row], validation_fraction=0), HERE).train[0]
    assert found["tags"] == ["B-PER", "I-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "O"]


def test_answers_are_found_where_no_start_is_given(over: Write) -> None:
    """A plain answer is looked for; a question without one says that the context has none."""
    rows = [{"question": "q", "context": "abc", "answer": "c"}, {"question": "r", "context": "abc", "answer": ""}]
    first, second = read_splits(over("question-answering", rows, validation_fraction=0), HERE).train
    assert first["answers"] == {"text": ["c"], "answer_start": [2]}
    assert second["answers"] == {"text": [], "answer_start": []}


def test_nothing_is_refused_in_words_without_a_file(tmp_path: Path) -> None:
    """A file that is gone is said to be missing."""
    with pytest.raises(BadFile):
        read_splits(TrainSettings(file=str(tmp_path / "gone.csv")), HERE)
