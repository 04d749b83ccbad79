"""Events on disk: numbered, appended whole, read from any point on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.events import Progress
from core.jobs.events import EventWriter, read_after, read_tail


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name a file for events."""
    return tmp_path / "events.jsonl"


def fill(file: Path, count: int, width: int = 50) -> None:
    """Write `count` events of growing width."""
    writer = EventWriter(file)
    for row in range(count):
        writer.append("row", "x" * (row % width))
    writer.close()


def test_every_starting_point_gives_exactly_the_rest(file: Path) -> None:
    """Wherever reading starts in a file far longer than one step, the first event is the next one."""
    fill(file, 3000)
    for after in (0, 1, 2, 57, 1499, 1500, 2998, 2999):
        assert [event.seq for event in read_after(file, after, 5)] == list(range(after + 1, 3001))[:5]
    assert read_after(file, 3000, 5) == []
    assert read_after(file, 10**9, 5) == []


def test_lines_longer_than_a_step_are_found(file: Path) -> None:
    """Single events of many kilobytes do not hide their neighbours."""
    writer = EventWriter(file)
    for row in range(30):
        writer.append("row", "é" * (20_000 if row % 3 else 1))
    writer.close()
    for after in range(30):
        assert [event.seq for event in read_after(file, after, 1)] == [after + 1]


def test_late_reading_leaves_the_beginning_alone(file: Path) -> None:
    """A reader at the end is not disturbed by damage at the beginning: that part is not read."""
    fill(file, 3000)
    damaged = bytearray(file.read_bytes())
    damaged[:1000] = b"\xff" * 1000
    file.write_bytes(damaged)
    assert [event.seq for event in read_after(file, 2990, 100)] == list(range(2991, 3001))


def test_a_writer_goes_on_after_a_torn_line(file: Path) -> None:
    """Work that resumes after a sudden death counts on from the last whole event."""
    fill(file, 3)
    with file.open("ab") as torn:
        torn.write(b'{"seq":4,"time":1.0,"na')
    writer = EventWriter(file)
    writer.append("again", 1)
    writer.append("again", 2)
    writer.close()
    assert [(event.seq, event.name) for event in read_after(file, 2, 9)] == [(3, "row"), (4, "again"), (5, "again")]


def test_the_last_progress_is_found_behind_long_payloads(file: Path) -> None:
    """However much was said since, the tail still knows the last Progress."""
    writer = EventWriter(file)
    writer.append_progress(Progress("score", 1, 3, 0.5))
    for _ in range(20):
        writer.append("row", "x" * 10_000)
    writer.close()
    tail = read_tail(file)
    assert (tail.seq, tail.progress) == (21, Progress("score", 1, 3, 0.5))


def test_nothing_yet(file: Path) -> None:
    """Without a file there are no events and no Progress."""
    assert (read_after(file, 0, 9), read_tail(file).seq, read_tail(file).progress) == ([], 0, None)


def test_any_text_fits_in_one_line(file: Path) -> None:
    """Line breaks and broken characters in a payload never break the line."""
    writer = EventWriter(file)
    writer.append("row", "a\nb\u2028c\ud800")
    writer.close()
    lines = file.read_bytes().split(b"\n")
    assert len(lines) == 2
    assert json.loads(lines[0])["payload"] == "a\nb\u2028c?"
    assert read_tail(file).seq == 1
