"""Results on their way to the browser."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from core.atelier import Atelier, open_atelier
from core.settings import Settings
from tabs._files import KEEP_SECONDS, offer


@pytest.fixture
def atelier(tmp_path: Path) -> Atelier:
    """Give an instance with a home of its own."""
    return open_atelier(Settings(home=tmp_path / "home"))


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """Give a job's result, some time old."""
    path = tmp_path / "result.csv"
    path.write_text("a\n", encoding="utf-8")
    os.utime(path, (1_000_000, 1_000_000))
    return path


def test_a_result_is_copied_below_the_uploads(atelier: Atelier, result: Path) -> None:
    """The copy keeps name and content; the original's path cannot be read from its place."""
    copy = Path(offer(atelier, result))
    assert copy.read_text(encoding="utf-8") == "a\n"
    assert copy.name == "result.csv"
    assert atelier.settings.uploads_folder in copy.parents
    assert len(copy.parent.name) == 64


def test_one_version_is_copied_once(atelier: Atelier, result: Path) -> None:
    """Asking again gives the same copy; a new version gets another place."""
    first = offer(atelier, result)
    assert offer(atelier, result) == first
    result.write_text("b\n", encoding="utf-8")
    second = offer(atelier, result)
    assert second != first
    assert Path(second).read_text(encoding="utf-8") == "b\n"


def test_a_copy_that_broke_off_is_made_again(atelier: Atelier, result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a copy is never handed out: the next one who asks gets a whole one."""

    def half(_: Path, draft: Path) -> None:
        draft.write_text("", encoding="utf-8")
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", half)
        with pytest.raises(OSError, match="full"):
            offer(atelier, result)
    assert Path(offer(atelier, result)).read_text(encoding="utf-8") == "a\n"


def test_old_copies_are_swept(atelier: Atelier, result: Path) -> None:
    """A copy made more than a day ago goes with the next one that is made."""
    first = Path(offer(atelier, result))
    long_ago = first.stat().st_mtime - KEEP_SECONDS - 60
    os.utime(first.parent, (long_ago, long_ago))
    result.write_text("b\n", encoding="utf-8")
    second = Path(offer(atelier, result))
    assert second.exists()
    assert not first.exists()
