"""The code of a batch, run as a reader would run it."""

from __future__ import annotations

import csv
import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.atelier import open_atelier
from core.errors import InvalidInput
from core.models.loading import starter_base_folder
from core.models.registry import Registry
from core.provenance import MIXED, Provenance
from core.settings import PROJECT, Settings
from core.snippets import TableJob, table_markdown, table_parameters
from core.snippets.table import curl_of_table, python_of_table
from core.tables import read_table, write_csv
from core.tasks.text.batch import TextBatchSettings
from core.tasks.text.encoder import Lane
from core.tasks.text.row_tasks import ROW_TASKS
from tests.fakes.models import tiny_bert, tiny_llama, tiny_t5
from tests.fakes.translators import tiny_marian, tiny_nllb
from tests.serving import serve

STORY = "The old bridge was built in Porto. It was designed by Dr. Duarte in 1886. The town paints it green. "
SAMPLE = PROJECT / "assets" / "samples" / "reviews.csv"
TEXTS = (
    f"Mr. Lee came at 3 p.m. and left.\n{STORY * 3}Was it green? It was! The children\nof both banks count its bolts.",
    "   ",
    "Short.",
    "橋建於波多。它由艾蓮娜設計。每年春天都漆成綠色。「孩子們數螺栓。」大家都很高興。",
    f"A line that goes on {'and on ' * 300}. {STORY}Nobody liked the soup. Everybody liked the bread.",
)
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


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give the registry of a local instance."""
    return open_atelier(Settings()).registry


@pytest.mark.parametrize(
    ("task", "model", "mixed"),
    [
        ("summarization", "starter/embeddings", False),
        ("summarization", "starter/embeddings in 30", False),
        ("summarization", "t5", False),
        ("text-generation", "llama", False),
        ("translation", "marian", False),
        ("translation", "nllb", False),
        ("feature-extraction", "starter/embeddings", False),
        ("feature-extraction", "starter/sentiment", True),
    ],
)
def test_python_gives_the_rows_of_the_batch(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, task: str, model: str, mixed: bool
) -> None:
    """Summaries and vectors of any text are those that the batch writes, be it long, short, Chinese or of one word."""
    name = _model(model.removesuffix(" in 30"), tmp_path)
    languages = {"source_language": "en", "target_language": "fr"} if model == "nllb" else {}
    length = {"max_length": 30} if model.endswith(" in 30") else {}
    ran_by: dict[str, Any] = {"model": name, "dtype": "float32", "device": "cpu", **languages, **length}
    settings = TextBatchSettings(file="texts.csv", column="text", task=task, **ran_by)
    write_csv(tmp_path / "texts.csv", ["text"], [{"text": text} for text in TEXTS])
    with registry.borrow(settings.spec(registry, task)) as borrowed:
        ready = replace(borrowed, placement=replace(borrowed.placement, mixed_tables=mixed))
        row_task, asked = ROW_TASKS[task], [text for text in TEXTS if text.strip()]
        expected = row_task.answer(asked, settings.row_settings(), registry, ready, Lane(background=True, exact=False))
        ran, longest = ready.provenance(0, mixed=mixed), row_task.longest(ready)
    job = TableJob("texts.csv", "text", task, settings.row_settings(), {})
    (tmp_path / "assets").symlink_to(PROJECT / "assets")
    (tmp_path / "snippet.py").write_text(python_of_table(job, ran, longest), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("snippet.py")
    rows = read_table(tmp_path / "result.csv").rows
    found = [json.loads(row["result"]) for row in rows if row["result"]]
    assert [bool(row["result"]) for row in rows] == [bool(text.strip()) for text in TEXTS]
    if task != "feature-extraction":
        assert found == expected
    else:
        for mine, theirs in zip(found, expected, strict=True):
            assert mine == pytest.approx(theirs, abs=0.02 if mixed else 3e-6)


@pytest.mark.parametrize("targets", ["", "good, films, Zebra"])
def test_python_fills_the_rows_of_the_batch(
    targets: str, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are filled as in the batch, however gaps are written and however long a text is; one without has nothing."""
    texts = [
        "the <mask> was good",
        "[MASK] and [MASK]",
        "no gap",
        "bad " * 300 + "[mask] film",
        "[MASK] " + "a " * 200 + "[MASK]",
    ]
    model = str(tiny_bert(tmp_path / "model", "masked-lm"))
    asked = {"task": "fill-mask", "model": model, "dtype": "float32", "targets": targets}
    settings = TextBatchSettings(file="texts.csv", column="text", **asked)
    write_csv(tmp_path / "texts.csv", ["text"], [{"text": text} for text in texts])
    task = ROW_TASKS["fill-mask"]
    with registry.borrow(settings.spec(registry, "fill-mask")) as borrowed:
        expected = task.answer(texts, settings.row_settings(), registry, borrowed, Lane(background=True))
        ran, longest = borrowed.provenance(0), task.longest(borrowed)
    job = TableJob("texts.csv", "text", "fill-mask", settings.row_settings(), {})
    (tmp_path / "snippet.py").write_text(python_of_table(job, ran, longest), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("snippet.py")
    found = [json.loads(row["result"]) for row in read_table(tmp_path / "result.csv").rows]
    assert [one is None for one in found] == [isinstance(one, InvalidInput) for one in expected]
    assert [one is None for one in found] == [False, False, True, False, True]
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(_flat(mine), _flat(theirs), strict=True):
            assert one == {**other, "score": pytest.approx(other["score"], abs=1e-5)}


def _flat(result: Any) -> list[dict[str, Any]]:
    """Return the candidates of all gaps; a refusal has none."""
    if not isinstance(result, list):
        return []
    return [one for part in result for one in (part if isinstance(part, list) else [part])]


def _model(name: str, folder: Path) -> str:
    """Return a starter's name, or the folder of a tiny model."""
    if name == "t5":
        return str(tiny_t5(folder / "t5", starter_base_folder()))
    makers = {"marian": tiny_marian, "nllb": tiny_nllb, "llama": tiny_llama}
    return str(makers[name](folder / name)) if name in makers else name


def test_only_the_model_runs_under_autocast() -> None:
    """Where the forward pass is in sight, autocast holds for it alone: likeness is compared in float32, as ours is."""
    job = _job("summarization", model="starter/sentiment")
    program = python_of_table(job, replace(RAN, dtype=MIXED), 256)
    assert 'with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):' in program
    assert "@torch.autocast" not in program


@pytest.mark.parametrize("task", list(ROW_TASKS))
def test_every_task_shows_code(task: str) -> None:
    """Each task has its curl, and Python that compiles and needs nothing of ours."""
    job = _job(task, labels="good, bad", question="What is it?")
    ran = replace(RAN, model="org/model", adapter=None)
    blocks = table_markdown(job, ran, 512, "http://127.0.0.1:7860")
    program = python_of_table(job, ran, 512)
    assert "```bash" in blocks
    assert f"```python\n{program}```" in blocks
    compile(program, "snippet", "exec")
    assert "from core" not in program


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
        ("i.csv", b"\n\ntext\nfirst\n\nthird\n"),
        ("j.csv", b"sep=;\n\nid;text\n1;first\n\n3;third\n"),
        ("h.jsonl", b'{"text": "NA", "date": "2020-01-01"}\n{"text": "2020-01-01"}\n'),
    ],
)
def test_python_reads_the_cells_that_the_app_reads(tmp_path: Path, name: str, written: bytes) -> None:
    """NA stays a text, a blank line a row; delimiter, encoding and the lines above the header are those found."""
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
        files = [Path(file["path"]) for file in json.loads(done.stdout)]
        assert [file.name for file in files] == ["result.csv", "result.parquet"]
        rows = {row["id"]: row for row in read_table(files[0]).rows}
    assert (rows["6"]["label"], rows["10"]["label"], rows["8"]["status"]) == ("POSITIVE", "NEGATIVE", "blank")


def test_a_call_that_fails_says_so(tmp_path: Path) -> None:
    """Where nobody listens, the curl tells its error instead of nothing at all."""
    shutil.copy(SAMPLE, tmp_path)
    snippet = curl_of_table(_job("text-classification"), "http://127.0.0.1:9")
    done = subprocess.run(["bash", "-c", snippet], cwd=tmp_path, capture_output=True, check=False)
    assert b"curl: (7)" in done.stderr
