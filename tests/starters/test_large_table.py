"""A table of ten thousand rows goes through the real starter to its end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.runner import Jobs, State
from core.models.registry import Registry
from core.tables import read_table, write_csv
from core.tasks.text.batch import KIND, TextBatchSettings, run_batch
from core.tasks.text.batch_results import read_rows, read_summary, result_files, status_counts
from core.tasks.text.text_classification import TextClassificationSettings, classify_text

ROWS = 10_000
BLANK_EVERY = 97
PATIENCE = 300.0
"""Seconds until a job that hangs fails the test; one that works needs a small part of them."""
SENTENCES = {
    "POSITIVE": ("what a wonderful film", "i loved every minute", "brilliant and deeply moving work", "great fun"),
    "NEGATIVE": ("what a boring film", "i hated every single minute", "a dull and tiresome mess", "terrible acting"),
}
MIXED_PRECISION = 0.02
"""How far a table's scores may be from those of single texts, where a starter's record lets autocast compute it."""

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """Give a fresh set of jobs, and see that nothing runs on."""
    made = Jobs(tmp_path / "jobs")
    yield made
    assert made.shutdown(20)


def ended(jobs: Jobs, job: str) -> State:
    """Wait for a job's end and return it."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while jobs.state(job).alive:
        assert time.monotonic() < deadline, "the job hangs"
        pause.wait(0.05)
    return jobs.state(job)


def written_rows() -> list[tuple[str, str]]:
    """Return (label, text) a row, no two texts alike, in an order that no pattern gives; a blank row has no label."""
    draw = random.Random(20)
    rows = []
    for number in range(ROWS):
        label = draw.choice(sorted(SENTENCES))
        text = f"{draw.choice(SENTENCES[label])} {number}"
        rows.append(("", draw.choice(("", "   "))) if number % BLANK_EVERY == 0 else (label, text))
    return rows


def test_ten_thousand_rows(tmp_path: Path, jobs: Jobs, registry: Registry) -> None:
    """A job over 10,000 short texts, all different, succeeds with each answer beside its own text.

    It holds that no row is lost, doubled or moved, in the rows as in the CSV and the Parquet; that blank rows are kept,
    marked and not answered; that clear praise and blame keep their labels; and that scores are those of single texts.
    """
    rows = written_rows()
    upload = tmp_path / "texts.csv"
    write_csv(upload, ["number", "text"], [{"number": str(i), "text": text} for i, (_, text) in enumerate(rows)])
    settings = TextBatchSettings(file=str(upload), column="text", model="starter/sentiment")
    job = jobs.start(KIND, settings, lambda handle: run_batch(handle, settings, registry))
    assert ended(jobs, job) is State.SUCCEEDED, jobs.log(job)

    blank = sum(not label for label, _ in rows)
    found = read_rows(jobs.result_folder(job))
    assert [row.place for row in found] == list(range(ROWS))
    assert [row.blank for row in found] == [not label for label, _ in rows]
    assert status_counts(found) == {"ok": ROWS - blank, "blank": blank, "failed": 0}
    assert [row.result[0]["label"] if row.result else "" for row in found] == [label for label, _ in rows]
    for number in range(1, ROWS, 10 * BLANK_EVERY):
        (alone,) = classify_text(TextClassificationSettings(text=rows[number][1], top_k=1), registry).scores
        (together,) = found[number].result
        assert (together["label"], together["score"]) == (alone.label, pytest.approx(alone.score, abs=MIXED_PRECISION))

    files = result_files(jobs.result_folder(job), settings.task)
    assert [file.suffix for file in files] == [".csv", ".parquet"]
    for file in files:
        table = read_table(file)
        assert [int(row["number"]) for row in table.rows] == list(range(ROWS))
        assert [row["text"].strip() for row in table.rows] == [text.strip() for _, text in rows]
        assert [row["label"] or "" for row in table.rows] == [label for label, _ in rows]
        assert [row["status"] for row in table.rows] == ["ok" if label else "blank" for label, _ in rows]
    summary = read_summary(jobs.result_folder(job))
    assert summary is not None
    assert summary.provenance.model == "starter/sentiment"
