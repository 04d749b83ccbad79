"""The desk of trainings: what is kept of an upload, and what is known of a base before it is here."""

from __future__ import annotations

from pathlib import Path

from core.atelier import open_atelier
from core.settings import Settings
from core.training.desk import with_own_copies
from core.training.settings import TrainSettings, read_settings
from tests.fakes.models import tiny_bert


def test_a_run_keeps_its_own_copy_of_an_upload(tmp_path: Path) -> None:
    """The run's settings name the copy, and find it when the folder is moved."""
    upload = tmp_path / "rows.csv"
    upload.write_text("text,label\n", encoding="utf-8")
    _, fill = with_own_copies(TrainSettings(file=str(upload)))
    (tmp_path / "draft").mkdir()
    fill(tmp_path / "draft")
    upload.unlink()
    moved = (tmp_path / "draft").rename(tmp_path / "run")
    found = Path(read_settings(moved).file)
    assert found.is_relative_to(moved)
    assert found.read_text(encoding="utf-8") == "text,label\n"


def test_a_run_without_files_has_nothing_to_copy(tmp_path: Path) -> None:
    """A sample is found by its name, so the folder gets the settings alone."""
    own, fill = with_own_copies(TrainSettings(dataset="samples/reviews"))
    fill(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
    assert read_settings(tmp_path) == own


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    """Data are read, split and shown in tokens, the first row that trains first; what was unpacked for it is gone."""
    desk = open_atelier(Settings(home=tmp_path / "home")).train_desk
    settings = TrainSettings(model=str(tiny_bert(tmp_path / "bert")), dataset="samples/reviews")
    found = desk.look(settings)
    assert found.preview is not None
    assert found.preview.row == found.splits.train[0]["row"]
    assert found.shape.rows == len(found.splits.train)
    assert found.shape.longest > 0
    assert list(desk.scratch.iterdir()) == []


def test_pictures_are_looked_at(tmp_path: Path) -> None:
    """Of a zip of pictures the first ones are shown, with their captions; what was unpacked for it is gone."""
    desk = open_atelier(Settings(home=tmp_path / "home")).train_desk
    settings = TrainSettings(task="text-to-image", dataset="samples/pictures")
    found = desk.look(settings)
    assert found.preview is None
    assert [one.row for one in found.pictures] == sorted(one.row for one in found.pictures)
    assert all(one.caption and one.jpeg for one in found.pictures)
    assert desk.look(settings, row=3).pictures[0].row == 3
    assert list(desk.scratch.iterdir()) == []
