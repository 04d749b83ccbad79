"""Files that are whole whenever they are read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.jobs.files import written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """While it is written, the old content stands; then the new one, and no draft is left."""
    path = tmp_path / "result.csv"
    path.write_text("old")
    with written_whole(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    """A writer that fails leaves the old content and no draft."""
    path = tmp_path / "result.csv"
    path.write_text("old")

    def write() -> None:
        with written_whole(path) as draft:
            draft.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    """Two who write the same file at once each write a whole one."""
    path, both = tmp_path / "result.csv", threading.Barrier(2)

    def write(sign: str) -> None:
        with written_whole(path) as draft:
            draft.write_text(sign * 1000)
            both.wait(10)

    threads = [threading.Thread(target=write, args=(sign,)) for sign in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert path.read_text() in {"a" * 1000, "b" * 1000}
    assert list(tmp_path.iterdir()) == [path]
