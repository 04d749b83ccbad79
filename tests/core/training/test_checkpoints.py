"""Checkpoints are trusted only when every byte is what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.training.checkpoints import (
    MARK,
    checkpoints_in,
    drop_broken,
    fault_in,
    mark,
    newest_whole,
    rotate,
    step_of,
)


def checkpoint(folder: Path, step: int, *, whole: bool = True) -> Path:
    """Write a checkpoint of two files, one of them in a folder of its own."""
    path = folder / f"checkpoint-{step}"
    (path / "inner").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights" * step)
    (path / "inner" / "state.json").write_text("{}")
    if whole:
        mark(path)
    return path


def test_a_marked_checkpoint_is_whole(tmp_path: Path) -> None:
    """What was marked and not touched since can be gone on from."""
    path = checkpoint(tmp_path, 5)
    assert fault_in(path) is None
    assert newest_whole(tmp_path).folder == path


def test_one_without_a_mark_is_unfinished(tmp_path: Path) -> None:
    """A kill before the last write leaves no mark, and no mark means no trust."""
    fault = fault_in(checkpoint(tmp_path, 5, whole=False))
    assert fault is not None
    assert fault.key == "reason.checkpoint_unfinished"


@pytest.mark.parametrize("held", ["", "[]", '{"a": 1}', "{"], ids=["empty", "list", "numbers", "torn"])
def test_a_mark_that_makes_no_sense_is_none(tmp_path: Path, held: str) -> None:
    """A torn or foreign mark counts as no mark."""
    path = checkpoint(tmp_path, 5)
    (path / MARK).write_text(held)
    fault = fault_in(path)
    assert fault is not None
    assert fault.key == "reason.checkpoint_unfinished"


def test_a_changed_byte_is_noticed_and_its_file_named(tmp_path: Path) -> None:
    """Same size, other content: the hash tells."""
    path = checkpoint(tmp_path, 5)
    weights = path / "model.safetensors"
    weights.write_bytes(b"W" + weights.read_bytes()[1:])
    assert "model.safetensors" in str(fault_in(path))


def test_a_shortened_file_is_noticed(tmp_path: Path) -> None:
    """A full disk or a torn copy shows in the size."""
    path = checkpoint(tmp_path, 5)
    (path / "model.safetensors").write_bytes(b"")
    fault = fault_in(path)
    assert fault is not None
    assert fault.key == "reason.checkpoint_file_damaged"


def test_a_lost_file_is_noticed_in_inner_folders_too(tmp_path: Path) -> None:
    """Every file that was there must be there."""
    path = checkpoint(tmp_path, 5)
    (path / "inner" / "state.json").unlink()
    assert "inner/state.json" in str(fault_in(path))


def test_the_newest_is_the_one_with_the_highest_step(tmp_path: Path) -> None:
    """Ten comes after nine, whatever the letters say; other folders do not count."""
    for step in (9, 10):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-last").mkdir()
    (tmp_path / "checkpoint-11").write_text("a file")
    assert [step_of(one) for one in checkpoints_in(tmp_path)] == [10, 9]
    assert newest_whole(tmp_path).step == 10


def test_a_broken_one_gives_way_to_the_one_before(tmp_path: Path) -> None:
    """The search goes backwards, and tells what it passed over; dropping removes just that."""
    checkpoint(tmp_path, 1)
    good = checkpoint(tmp_path, 2)
    checkpoint(tmp_path, 3, whole=False)
    found = newest_whole(tmp_path)
    assert (found.folder, found.step, [one.step for one in found.broken]) == (good, 2, [3])
    drop_broken(tmp_path, found)
    assert [step_of(one) for one in checkpoints_in(tmp_path)] == [2, 1]


def test_where_there_is_none_the_search_says_so(tmp_path: Path) -> None:
    """A run that never saved begins at step 0."""
    found = newest_whole(tmp_path / "nothing")
    assert (found.folder, found.step, found.broken) == (None, 0, ())


def test_rotation_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    """The limit counts the newest ones; the best stays beside them."""
    for step in (1, 2, 3, 4):
        checkpoint(tmp_path, step)
    rotate(tmp_path, 2, str(tmp_path / "checkpoint-1"))
    assert [step_of(one) for one in checkpoints_in(tmp_path)] == [4, 3, 1]


def test_the_mark_lists_what_anybody_can_check(tmp_path: Path) -> None:
    """Sizes and SHA-256 by file name, as JSON."""
    held = json.loads((checkpoint(tmp_path, 1) / MARK).read_text())
    assert held["model.safetensors"]["size"] == 7
    assert set(held) == {"model.safetensors", "inner/state.json"}
