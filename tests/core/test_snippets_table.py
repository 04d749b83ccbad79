"""The code of a batch, run as a reader would run it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.provenance import MIXED, Provenance
from core.settings import PROJECT
from core.snippets import TableJob, table_markdown, table_parameters
from core.snippets.table import curl_of_table, python_of_table
from core.tables import read_table
from core.tasks.text.batch import TextBatchSettings
from core.tasks.text.row_tasks import ROW_TASKS
from tests.serving import serve

SAMPLE = PROJECT / "assets" / "samples" / "reviews.csv"
RAN = Provenance("starter/sentiment", "1", "starter/sentiment@1", "cpu", "float32", "sdpa")


def _job(task: str, **options: str) -> TableJob:
    settings = TextBatchSettings(file=str(SAMPLE), column="text", task=task, **options)
    return TableJob(SAMPLE.name, "text", task, settings.row_settings(), table_parameters(settings))


@pytest.mark.parametrize("dtype", ["float32", MIXED])
def test_python_labels_the_sample(tmp_path: Path, dtype: str) -> None:
    """The Python adds the pipeline's result to every row of the sample, and leaves the blank row alone."""
    shutil.copy(SAMPLE, tmp_path)
    (tmp_path / "assets").symlink_to(PROJECT / "assets")
    program = python_of_table(_job("text-classification"), replace(RAN, dtype=dtype), 512)
    assert ("torch.autocast" in program) == (dtype == MIXED)
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
    assert "'files=@\"it'\"'\"'s $(touch x).csv\"'" in written


def test_what_was_wished_is_told() -> None:
    """The call names task and model, and of the wishes what differs from the default."""
    settings = TextBatchSettings(file="t.csv", task="question-answering", question="Who?", dtype="bfloat16")
    told = {"task": "question-answering", "model": "", "question": "Who?", "dtype": "bfloat16"}
    assert table_parameters(settings) == told
    assert "dtype" not in table_parameters(replace(settings, dtype="auto"))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.csv", b"id,text\r\n1,NA\r\n2,None\r\n3,\r\n4,007\r\n"),
        ("b.csv", "\ufeffid;text\n1;a, b\n2;null\n".encode()),
        ("c.csv", b"sep=|\nid|text\n1|NA\n"),
        ("d.csv", b"text\nwell, yes\nNA\n"),
        ("e.tsv", b"id\ttext\n1\tN/A\n"),
        ("f.csv", "id,text\n1,日本語のテキストです。とても良い映画でした。\n".encode("shift_jis")),
        ("g.csv", "id,text\n1,grüße\n".encode("utf-16")),
        ("h.jsonl", b'{"text": "NA", "date": "2020-01-01"}\n{"text": "2020-01-01"}\n'),
    ],
)
def test_python_reads_the_cells_that_the_app_reads(tmp_path: Path, name: str, written: bytes) -> None:
    """NA stays a text, and delimiter, encoding and Excel's first line are those that were found."""
    (tmp_path / name).write_bytes(written)
    table = read_table(tmp_path / name)
    program = python_of_table(replace(_job("text-classification"), file=name, layout=table.layout), RAN, 512)
    lines = program.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("table = "))
    end = next(number for number, line in enumerate(lines) if line.startswith("texts = "))
    reading = "\n".join(["import pandas, json", *lines[start : end + 1], "print(json.dumps(list(texts)))"])
    done = subprocess.run([sys.executable, "-c", reading], cwd=tmp_path, check=True, timeout=300, capture_output=True)
    assert json.loads(done.stdout) == [cell or "" for cell in table.column("text")]


@pytest.mark.parametrize("password", [None, "pass & word"])
def test_curl_labels_the_sample(tmp_path: Path, password: str | None) -> None:
    """Pasted into bash, the curl uploads the sample, logs in where it must, and prints the names of both files."""
    name = 'my "best"; reviews, é.csv'
    shutil.copy(SAMPLE, tmp_path / name)
    job = replace(_job("text-classification", model="starter/sentiment", dtype="float32"), file=name)
    with serve(tmp_path / "home", *(["--password", password] if password else [])) as served:
        snippet = curl_of_table(job, served.address, user="atelier" if password else None)
        environment = {**os.environ, **({"ATELIER_PASSWORD": password} if password else {})}
        done = subprocess.run(
            ["bash", "-c", snippet], cwd=tmp_path, env=environment, timeout=300, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        files = [Path(file["path"]) for file in json.loads(done.stdout)[3]]
        assert [file.name for file in files] == ["result.csv", "result.parquet"]
        rows = {row["id"]: row for row in read_table(files[0]).rows}
    assert (rows["6"]["label"], rows["10"]["label"], rows["8"]["status"]) == ("POSITIVE", "NEGATIVE", "blank")


def test_a_call_that_fails_says_so(tmp_path: Path) -> None:
    """Where nobody listens, the curl tells its error instead of nothing at all."""
    shutil.copy(SAMPLE, tmp_path)
    snippet = curl_of_table(_job("text-classification"), "http://127.0.0.1:9")
    done = subprocess.run(["bash", "-c", snippet], cwd=tmp_path, capture_output=True, check=False)
    assert b"curl: (7)" in done.stderr
