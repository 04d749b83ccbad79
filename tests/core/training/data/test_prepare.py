"""Data becomes tokens once; what is shown of a row is what the trainer gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadFile, Cancelled
from core.events import CancelToken, Progress
from core.training.data.collators import collator_for
from core.training.data.prepare import prepare
from core.training.data.prepared import IGNORED
from core.training.data.preview import preview
from core.training.data.reading import Desk
from core.training.data.rows import read_rows, read_splits
from core.training.data.rules import ModelReader
from core.training.data.samples import SAMPLES
from core.training.data.store import NOTE, TRAIN, VALIDATION, rows_file
from core.training.data.survey import survey
from core.training.data.watch import Watch
from core.training.settings import TrainSettings

Write = Callable[..., TrainSettings]
ROWS: list[dict[str, Any]] = [{"text": "film " * (1 + number), "label": "ab"[number % 2]} for number in range(30)]
TEXTUAL = [
    ("samples/reviews", "text-classification"),
    ("samples/entities", "token-classification"),
    ("samples/questions", "question-answering"),
    ("samples/translations", "translation"),
    ("samples/headlines", "summarization"),
    ("samples/stories", "text-generation"),
    ("samples/stories", "fill-mask"),
    ("samples/instructions", "text-generation"),
    ("samples/preferences", "preference"),
    ("samples/preferences", "reward"),
]


def test_tokens_are_found_again(over: Write, words: Any, bytewise: Any, tmp_path: Path) -> None:
    """The same data, settings and tokenizer take what is there; any change that matters makes tokens anew."""
    settings, folder = over("text-classification", ROWS), tmp_path / "data"
    first = prepare(settings, ModelReader(words, 128), folder)
    again = prepare(settings, ModelReader(words, 128), folder)
    assert (first.cached, again.cached) == (False, True)
    assert list(again.train) == list(first.train)
    assert list(again.validation) == list(first.validation)
    for name in ("counts", "labels", "notes", "max_length", "data_hash", "columns", "shape", "task"):
        assert getattr(again, name) == getattr(first, name)
    other = over("text-classification", ROWS, seed=1, learning_rate=0.1)
    assert not prepare(other, ModelReader(words, 128), folder).cached
    assert not prepare(other, ModelReader(bytewise, 128), folder).cached


def test_settings_that_change_no_token_change_no_key(over: Write, words: Any, tmp_path: Path) -> None:
    """Another learning rate trains on the same tokens."""
    reader, folder = ModelReader(words, 128), tmp_path / "data"
    prepare(over("text-classification", ROWS), reader, folder)
    assert prepare(over("text-classification", ROWS, learning_rate=0.5, num_train_epochs=9), reader, folder).cached


def test_half_prepared_tokens_are_not_taken(over: Write, words: Any, tmp_path: Path) -> None:
    """The note is written last: without it, or with a torn one, everything is made anew."""
    settings, reader, folder = over("text-classification", ROWS), ModelReader(words, 128), tmp_path / "data"
    prepare(settings, reader, folder)
    (folder / NOTE).write_text('{"key": "')
    assert not prepare(settings, reader, folder).cached


def test_rows_of_both_halves_stay_with_the_tokens(over: Write, words: Any, tmp_path: Path) -> None:
    """Whoever evaluates the run later reads the very rows that were held out."""
    settings, folder = over("text-classification", ROWS), tmp_path / "data"
    prepared = prepare(settings, ModelReader(words, 128), folder)
    splits = read_splits(settings, Desk(folder))
    assert tuple(read_rows(rows_file(folder, VALIDATION))) == splits.validation
    assert tuple(read_rows(rows_file(folder, TRAIN))) == splits.train
    assert prepared.data_hash == splits.data_hash


def test_a_stop_is_heard_while_tokens_are_made(over: Write, words: Any, tmp_path: Path) -> None:
    """Tokenizing ends soon after somebody asks, and leaves nothing that looks whole."""
    cancel = CancelToken()
    told: list[Progress] = []

    def listen(progress: Progress) -> None:
        told.append(progress)
        if progress.phase == "tokenize" and progress.done:
            cancel.cancel()

    settings, folder = over("fill-mask", [{"text": f"film {n}"} for n in range(2_000)]), tmp_path / "data"
    with pytest.raises(Cancelled):
        prepare(settings, ModelReader(words, 128), folder, Watch(listen, cancel))
    assert told[-1].done < 1_000
    assert not prepare(settings, ModelReader(words, 128), folder).cached


def test_lengths_are_chosen_from_the_rows(over: Write, words: Any, tmp_path: Path) -> None:
    """Nearly all rows fit, and never more than the model reads; a wish is kept, and what it cuts is counted."""
    settings = over("text-classification", ROWS, validation_fraction=0)
    assert prepare(settings, ModelReader(words, 128), tmp_path / "a").max_length == 32
    assert prepare(settings, ModelReader(words, 20), tmp_path / "b").max_length == 20
    wished = over("text-classification", ROWS, validation_fraction=0, max_length=12)
    found = prepare(wished, ModelReader(words, 128), tmp_path / "c")
    assert (found.max_length, found.counts.truncated, found.counts.longest) == (12, 20, 12)
    assert survey(settings, read_splits(settings, Desk(tmp_path)), ModelReader(words, 128)).longest == 32


def test_nothing_that_fits_is_refused(over: Write, chatting: Any, tmp_path: Path) -> None:
    """A max_length that leaves no answer to learn is refused with its number."""
    talk = [{"role": "user", "content": "x" * 40}, {"role": "assistant", "content": "y"}]
    settings = over("text-generation", [{"messages": talk}], max_length=20, validation_fraction=0)
    with pytest.raises(BadFile, match="20"):
        prepare(settings, ModelReader(chatting, 128), tmp_path / "data")


def test_a_head_goes_on_with_its_own_classes(over: Write, words: Any, tmp_path: Path) -> None:
    """Where the data has the model's classes, their ids are the model's; else the data's own."""
    settings = over("text-classification", ROWS)
    assert prepare(settings, ModelReader(words, 128, ("b", "a")), tmp_path / "a").labels == ("b", "a")
    assert prepare(settings, ModelReader(words, 128, ("x", "y")), tmp_path / "b").labels == ("a", "b")


@pytest.mark.parametrize(("name", "task"), TEXTUAL)
def test_each_sample_makes_batches(name: str, task: str, words: Any, chatting: Any, tmp_path: Path) -> None:
    """Every sample becomes batches whose rows have one length, with loss somewhere."""
    decodes = task in ("text-generation", "preference", "reward")
    tokenizer = chatting if decodes else words
    settings = TrainSettings(task=task, dataset=name)
    prepared = prepare(settings, ModelReader(tokenizer, 256), tmp_path / "data")
    assert set(SAMPLES) >= {name}
    assert prepared.counts.loss_tokens > 0
    if task not in ("preference", "reward"):  # TRL's collators are tried with TRL's trainers
        batch = collator_for(prepared, tokenizer)([prepared.train[place] for place in range(4)])
        assert {tensor.shape[0] for tensor in batch.values()} == {4}


@pytest.mark.parametrize(("name", "task"), TEXTUAL)
def test_the_preview_is_what_the_trainer_sees(name: str, task: str, words: Any, chatting: Any, tmp_path: Path) -> None:
    """The tokens shown of a row are those that were prepared of it, and the marked ones are those with a label."""
    tokenizer = chatting if task in ("text-generation", "preference", "reward") else words
    settings, reader = TrainSettings(task=task, dataset=name), ModelReader(tokenizer, 256)
    prepared = prepare(settings, reader, tmp_path / "data")
    splits = read_splits(settings, Desk(tmp_path))
    number = splits.validation[0]["row"]
    shown = preview(settings, splits, reader, number)
    sequences = [row for row in prepared.validation if row["row"] == number]
    assert shown.half == "validation"
    assert len(shown.sequences) == len(sequences)
    for tokens, sequence in zip(shown.sequences, sequences, strict=True):
        inputs = [token for token in tokens if token.part == "input"]
        assert [token.id for token in inputs] == sequence.get("input_ids", sequence.get("prompt_ids", []))
        labels = sequence.get("labels")
        if isinstance(labels, list) and task not in ("translation", "summarization"):
            assert [token.carries_loss for token in inputs] == [label != IGNORED for label in labels]


def test_a_row_that_is_not_used_cannot_be_shown(over: Write, words: Any) -> None:
    """A number beyond the file is refused with that number."""
    settings = over("text-classification", ROWS)
    with pytest.raises(BadFile, match="31"):
        preview(settings, read_splits(settings, Desk(Path())), ModelReader(words), 31)
