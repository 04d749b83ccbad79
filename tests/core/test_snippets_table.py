"""The code of a batch, run as a reader would run it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.provenance import Provenance
from core.settings import PROJECT
from core.snippets import TableJob, table_markdown
from core.snippets.table import curl_of_table, python_of_table
from core.tables import read_table
from core.tasks.text.batch import TextBatchSettings
from core.tasks.text.row_tasks import ROW_TASKS

SAMPLE = PROJECT / "assets" / "samples" / "reviews.csv"
RAN = Provenance("starter/sentiment", "1", "starter/sentiment@1", "cpu", "float32", "sdpa")


def _job(task: str, **options: str) -> TableJob:
    settings = TextBatchSettings(file=str(SAMPLE), column="text", task=task, **options)
    return TableJob(SAMPLE.name, "text", task, ROW_TASKS[task].settings(settings), options)


def test_python_labels_the_sample(tmp_path: Path) -> None:
    """The Python adds the pipeline's result to every row of the sample, and leaves the blank row alone."""
    shutil.copy(SAMPLE, tmp_path)
    (tmp_path / "assets").symlink_to(PROJECT / "assets")
    program = python_of_table(_job("text-classification"), RAN, 512)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=300)
    with (tmp_path / "result.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(read_table(SAMPLE).rows)
    assert [row["id"] for row in rows if not row["result"]] == ["8"]
    best = {row["id"]: json.loads(row["result"])[0]["label"] for row in rows if row["result"]}
    assert (best["6"], best["10"]) == ("POSITIVE", "NEGATIVE")


@pytest.mark.parametrize("task", list(ROW_TASKS))
def test_every_task_shows_code(task: str) -> None:
    """Each task's code compiles where there is Python, and always has its curl."""
    job = _job(task, labels="good, bad", question="What is it?")
    blocks = table_markdown(job, replace(RAN, model="org/model", adapter=None), 512, "http://127.0.0.1:7860")
    assert "```bash" in blocks
    if "```python" in blocks:
        compile(python_of_table(job, RAN, 512), "snippet", "exec")


def test_nasty_names_stay_quoted() -> None:
    """A file or column name with quotes and dollars cannot break out of the shell's quotes."""
    job = replace(_job("text-classification"), file="it's $(touch x).csv", column="a'b\"$c")
    written = curl_of_table(job, "http://127.0.0.1:7860")
    checked = subprocess.run(["bash", "-n"], input=written, text=True, capture_output=True, check=True)
    assert checked.stderr == ""
    assert "'files=@it'\"'\"'s $(touch x).csv'" in written
