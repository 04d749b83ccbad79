"""Rows come from every kind of file that people have, and what cannot be read is said."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from core.errors import BadFile, Cancelled, UnknownName
from core.events import CancelToken
from core.tables import write_parquet
from core.training.data.reading import Desk, read_file
from core.training.data.rows import read_splits
from core.training.data.samples import SAMPLES, sample_file, samples_for
from core.training.data.watch import Watch
from core.training.settings import TrainSettings
from core.training.tasks import TRAIN_TASKS

ROWS = [{"text": "good", "label": "a"}, {"text": "bad", "label": "b"}]


def _written(folder: Path, suffix: str) -> Path:
    file = folder / f"rows{suffix}"
    if suffix == ".xlsx":
        from openpyxl import Workbook

        book = Workbook()
        for line in ([], ["text", "label"], ["good", "a"], ["bad", "b"]):
            book.active.append(line)
        book.save(file)
    elif suffix == ".parquet":
        write_parquet(file, ["text", "label"], ROWS)
    elif suffix == ".json":
        file.write_text(json.dumps({"version": 1, "data": ROWS}))
    elif suffix == ".jsonl":
        file.write_text("\n".join(map(json.dumps, ROWS)))
    else:
        file.write_text("text,label\ngood,a\nbad,b\n")
    return file


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet", ".xlsx"])
def test_tables_give_the_same_rows(tmp_path: Path, suffix: str) -> None:
    """Whatever format a table has, its rows are the same."""
    found = read_file(_written(tmp_path, suffix), Desk(tmp_path), Watch())
    assert found.rows == ROWS
    assert found.columns == ("text", "label")


def test_running_text_is_cut_at_blank_lines(tmp_path: Path) -> None:
    """A text file gives a row for each paragraph, and for each line where there are no paragraphs."""
    file = tmp_path / "a.txt"
    file.write_text("one\nstill one\n\n\ntwo\n")
    assert [row["text"] for row in read_file(file, Desk(tmp_path), Watch()).rows] == ["one\nstill one", "two"]
    file.write_text("one\ntwo\n")
    assert [row["text"] for row in read_file(file, Desk(tmp_path), Watch()).rows] == ["one", "two"]


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.pdf", b"x", "a.pdf"),
    ("a.txt", b"  \n", "no rows"),
    ("a.json", b"[1, 2]", "list of objects"),
    ("a.xlsx", b"no zip", "damaged"),
    ("a.csv", b"text,label\n", "no rows"),
    ("a.zip", b"no zip", "damaged"),
])  # fmt: skip
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """An unknown, empty or damaged file is refused with its name and the reason."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(BadFile, match=name) as refusal:
        read_file(file, Desk(tmp_path), Watch())
    assert said in str(refusal.value)


def _zipped(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file


def _png(colour: str) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(held, "PNG")
    return held.getvalue()


def _red(file: str) -> int:
    with Image.open(file) as picture:
        return picture.getpixel((0, 0))[0]


def test_captions_stand_in_a_table_or_beside_the_pictures(tmp_path: Path) -> None:
    """metadata.csv names pictures and captions; without it a .txt beside each picture does."""
    table = b"file_name,text\na.png,red\nb.png,blue\n"
    members = {"set/a.png": _png("red"), "set/b.png": _png("blue"), "__MACOSX/set/._a.png": b"x"}
    one = _zipped(tmp_path / "one.zip", {**members, "set/metadata.csv": table})
    two = _zipped(tmp_path / "two.zip", {**members, "set/a.txt": b"red", "set/b.txt": b"blue\n"})
    for file in (one, two):
        settings = TrainSettings(task="text-to-image", file=str(file), validation_fraction=0)
        rows = read_splits(settings, Desk(tmp_path / file.stem)).train
        assert [row["caption"] for row in rows] == ["red", "blue"]
        assert [_red(row["image"]) for row in rows] == [255, 0]


def test_pictures_without_caption_or_content_are_named(tmp_path: Path) -> None:
    """A picture that cannot be read, one without caption and one that leaves the folder are problems of their rows."""
    table = b"file_name,text\na.png,red\nb.png,blue\n../c.png,green\nd.png,\n"
    members = {"a.png": _png("red"), "b.png": b"broken", "d.png": _png("red"), "metadata.csv": table}
    settings = TrainSettings(task="text-to-image", file=str(_zipped(tmp_path / "a.zip", members)))
    with pytest.raises(BadFile) as refusal:
        read_splits(settings, Desk(tmp_path / "out"))
    said = str(refusal.value)
    assert "3 problems" in said
    assert all(f"Row {number}" in said for number in (2, 3, 4))


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_can_be_learnt_from(tmp_path: Path, name: str) -> None:
    """Each of our samples is read without a problem for each of its tasks."""
    for task in SAMPLES[name].tasks:
        found = read_splits(TrainSettings(task=task, dataset=name), Desk(tmp_path))
        assert len(found.train) > len(found.validation) > 0
        assert found.notes == ()


def test_every_task_has_a_sample() -> None:
    """Any training can be tried at once, and a wrong name lists the samples."""
    assert all(samples_for(task) for task in TRAIN_TASKS)
    with pytest.raises(UnknownName, match="samples/reviews"):
        sample_file("samples/none")


def test_reading_stops_when_asked() -> None:
    """Somebody who asks to stop while data is read is heard."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        read_splits(TrainSettings(dataset="samples/reviews"), Desk(Path()), Watch(cancel=cancel))
