"""The code of an evaluation, run as a reader would run it: the same numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.atelier import Atelier, open_atelier
from core.evaluation.settings import EvaluateSettings
from core.settings import PROJECT, Settings
from core.snippets.evaluation import curl_of_evaluation
from tabs._events import Visit
from tabs.evaluation._code import code_of
from tabs.evaluation._run_view import look
from tests.fakes.models import tiny_bert
from tests.serving import serve, until

METRICS = "accuracy, balanced_accuracy, f1, f1_micro, recall_weighted, matthews_correlation, log_loss, ece"
BRIEF: dict[str, Any] = {"dataset": "samples/reviews", "max_samples": 16, "draws": 100, "dtype": "float32"}


def program(code: str) -> str:
    """Return the Python of the blocks."""
    return code.split("```python\n")[1].split("\n```", maxsplit=1)[0]


def evaluated(atelier: Atelier, **settings: Any) -> tuple[str, dict[str, Any]]:
    """Evaluate to the end."""
    job = atelier.evaluation_desk.start(EvaluateSettings(**{**BRIEF, **settings}))
    until(lambda: not atelier.evaluations.state(job).alive)
    return job, atelier.evaluation_desk.read(job)


@pytest.mark.parametrize("model", ["starter/sentiment", "tiny"])
def test_python_counts_the_same_numbers(tmp_path: Path, model: str) -> None:
    """Asked anew by the pipeline and counted by scikit-learn, each number is the evaluation's."""
    name = str(tiny_bert(tmp_path / "tiny")) if model == "tiny" else model
    atelier = open_atelier(Settings(home=tmp_path / "home"))
    job, found = evaluated(atelier, models=name, metrics=METRICS, labels="positive=POSITIVE, negative=NEGATIVE")
    code = code_of(atelier, Visit(), look(atelier, Visit(), job))
    shutil.copy(atelier.evaluations.result_folder(job) / "rows.parquet", tmp_path)
    (tmp_path / "assets").symlink_to(PROJECT / "assets")
    run = [sys.executable, "-W", "ignore", "-c", program(code)]
    ran = subprocess.run(run, cwd=tmp_path, check=True, timeout=300, stdout=subprocess.PIPE, text=True)
    printed = dict(line.rsplit(" ", 1) for line in ran.stdout.splitlines())
    assert printed.keys() == {one.strip() for one in METRICS.split(",")} - {"ece"}
    for metric in found["models"][0]["metrics"]:
        if metric["name"] in printed:
            assert float(printed[metric["name"]]) == pytest.approx(metric["values"][0]["value"], abs=1e-4)
    assert "# counted by Atelier alone: ece" in code
    assert atelier.shutdown(20)


def test_other_tasks_have_the_calls_alone(tmp_path: Path) -> None:
    """A translation's code is curl: what starts it again, and what reads this very one."""
    atelier = open_atelier(Settings(home=tmp_path / "home"))
    job, _ = evaluated(atelier, task="translation", dataset="samples/translations", max_samples=2, num_beams=1)
    code = code_of(atelier, Visit(), look(atelier, Visit(), job))
    assert "```python" not in code
    assert "evaluate_start" in code
    assert job in code
    assert atelier.shutdown(20)


def test_curl_starts_and_reads_an_evaluation(tmp_path: Path) -> None:
    """Pasted into a shell, the first call uploads and gives a job; the second prints that job's numbers."""
    file = tmp_path / "own.csv"
    file.write_text("text,label\nA wonderful film,positive\nA dreadful film,negative\n", encoding="utf-8")
    with serve(tmp_path / "home") as served:
        settings = EvaluateSettings(file=file.name, models="starter/sentiment", metrics="accuracy, f1", draws=100)
        start, _ = curl_of_evaluation(settings, "", served.address)
        job = json.loads(bash(start, tmp_path))
        _, read = curl_of_evaluation(settings, job, served.address)
        until((served.home / "evaluations" / job / "exit.json").exists, 300)
        found = json.loads(bash(read, tmp_path))
    assert found["state"] == "succeeded"
    assert found["evaluation"]["models"][0]["n"] == 2


def bash(script: str, folder: Path) -> str:
    """Run a piece of bash and return what it prints."""
    run = ["bash", "-c", script]
    own = {"PATH": os.environ["PATH"]}
    done = subprocess.run(run, cwd=folder, check=True, timeout=300, stdout=subprocess.PIPE, text=True, env=own)
    return done.stdout
