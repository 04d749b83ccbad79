"""What a page shows of a batch that has ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.atelier import Atelier, open_atelier
from core.errors import Cancelled, InvalidInput
from core.events import Progress
from core.provenance import Provenance
from core.settings import Settings
from core.tasks.text.batch import KIND
from core.tasks.text.batch_results import ROWS_FILE, SUMMARY_FILE, Row, Summary, outcome_of, write_summary
from core.words import say
from tabs._events import Visit
from tabs.text._batch_view import Shown, watch

RAN = Provenance("starter/sentiment", "1", "starter/sentiment@1", "cpu", "float32", "sdpa")
ROWS = (
    Row(0, result=[{"label": "POSITIVE", "score": 0.75}]),
    Row(1, blank=True),
    Row(2, problem="too long"),
    Row(3, cut=True),
)
TEXTS = ("What a film", None, "on and on", "<b>long</b>")
TASK = "text-classification"


@pytest.fixture
def atelier(tmp_path: Path) -> Atelier:
    """Give an instance with a home of its own."""
    return open_atelier(Settings(home=tmp_path / "home"))


def ended(atelier: Atelier, settings: Mapping[str, Any], work: Callable[[Any], None]) -> tuple[str, Shown]:
    """Carry out a job and return its id and what a page shows of it then."""
    over = threading.Event()

    def carry(handle: Any) -> None:
        try:
            work(handle)
        finally:
            over.set()

    job = atelier.jobs.start(KIND, dict(settings), carry)
    assert over.wait(60)
    return job, last_shown(atelier, job)


def last_shown(atelier: Atelier, job: str) -> Shown:
    """Return what a page shows of a job at its end."""
    shown = [one for one in watch(atelier, Visit(), job) if one is not None]
    return shown[-1]


def leave(handle: Any) -> None:
    """Leave what a batch leaves, but no rows: a page that read them would show none."""
    for name in ("result.csv", "result.parquet"):
        (handle.result_folder / name).write_text("text\n")
    write_summary(handle.result_folder, Summary(RAN, "review", 512, outcome_of(ROWS, TASK, TEXTS)))


def test_the_end_is_shown_from_the_summary(atelier: Atelier) -> None:
    """Counts, chart, preview, code, files and provenance need the summary only."""
    job, shown = ended(atelier, {"file": "t.csv", "task": TASK}, leave)
    assert not (atelier.jobs.result_folder(job) / ROWS_FILE).exists()
    view, named, code, files, provenance = shown
    assert named == job
    assert "2 rows answered, 1 blank, 1 failed" in view
    assert "<th scope=col>review</th><th scope=col>label</th>" in view
    assert "<td>1</td><td>What a film</td><td>POSITIVE</td><td>0.75</td><td>ok</td>" in view
    assert "<td>on and on</td><td></td><td></td><td>too long</td>" in view
    assert "text_batch" in code
    assert [Path(file).name for file in files] == ["result.csv", "result.parquet"]
    (fallback,) = provenance["fallbacks"]
    assert "1 texts were longer than the model reads (at most 512 tokens" in fallback
    assert fallback in view
    assert {**provenance, "fallbacks": []} == RAN.as_dict()


@pytest.mark.parametrize("way", ["succeeded", "failed", "cancelled"])
def test_an_ended_batch_has_no_time_left(atelier: Atelier, way: str) -> None:
    """Finished, failed or stopped: how much was done is shown, and no remaining time."""

    def work(handle: Any) -> None:
        handle.report(Progress("rows", 256, 1024, 2.0))
        leave(handle)
        if way == "failed":
            raise InvalidInput("error.no_tokens")
        if way == "cancelled":
            raise Cancelled("error.cancelled")

    _, shown = ended(atelier, {"file": "t.csv", "task": TASK}, work)
    assert str(say(f"say.state_{way}")) in shown[0]
    assert "256 of 1,024 · 128.0 per second" in shown[0]
    assert "per second · about" not in shown[0]


@pytest.mark.parametrize("settings", [{"file": "t.csv", "gone": 1}, {"file": "t.csv", "task": "no such"}, {}])
def test_a_job_of_another_version_shows_its_state(atelier: Atelier, settings: dict[str, Any]) -> None:
    """What it was asked is not understood any more, so its state is all there is to show; no dialog comes."""
    job, shown = ended(atelier, settings, leave)
    assert shown[1:] == (job, None, None, None)
    assert "Finished" in shown[0]


def test_a_summary_without_texts_shows_the_answers(atelier: Atelier) -> None:
    """A batch of an older version, whose summary holds no texts, shows its rows without that column."""

    def work(handle: Any) -> None:
        leave(handle)
        path = handle.result_folder / SUMMARY_FILE
        written = json.loads(path.read_text())
        del written["outcome"]["texts"]
        path.write_text(json.dumps(written))

    _, shown = ended(atelier, {"file": "t.csv", "task": TASK}, work)
    assert "<th scope=col>review</th>" not in shown[0]
    assert "<td>1</td><td>POSITIVE</td><td>0.75</td><td>ok</td>" in shown[0]


def test_a_summary_of_another_version_leaves_the_files(atelier: Atelier) -> None:
    """Where the summary cannot be read, the state and the files are shown."""

    def work(handle: Any) -> None:
        leave(handle)
        (handle.result_folder / "summary.json").write_text("{}")

    _, shown = ended(atelier, {"file": "t.csv", "task": TASK}, work)
    assert len(shown[3]) == 2
    assert shown[4] is None
