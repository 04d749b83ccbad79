"""The worker as it is really started: one process by its module, two by accelerate launch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.jobs.folder import JobFolder
from core.jobs.records import State
from core.settings import PROJECT
from core.training.checkpoints import newest_whole
from core.training.command import worker_command
from core.training.record import read_run
from core.training.settings import read_settings
from core.training.worker import prepare_environment
from tests.core.training.tiny import events, feelings, job_at, run_at
from tests.fakes.models import tiny_bert

PATIENCE_SECONDS = 600


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the very command that a plan shows."""
    first, *rest = worker_command(read_settings(folder), folder)
    programs = Path(sys.executable).parent
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [str(programs / first), *rest], cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


def curve(folder: Path) -> list[float]:
    """Return the losses as they were told."""
    job = job_at(folder)
    job.close()
    return [one.payload["loss"] for one in events(job, "metrics")]


def run_in(folder: Path, **values: Any) -> Path:
    """Write a run's folder."""
    model = folder.parent / "model"
    if not model.exists():
        tiny_bert(model)
    run_at(folder, model, feelings(), **values).close()
    return folder


def test_two_processes_learn_as_one_does(tmp_path: Path) -> None:
    """Two processes of two rows a step give the curve of one with four, and the same evaluation."""
    same = {"max_steps": 6, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 3, "method": "ia3"}
    same["gradient_accumulation_steps"] = 1
    one = run_in(tmp_path / "one", per_device_train_batch_size=4, **same)
    two = run_in(tmp_path / "two", per_device_train_batch_size=2, num_processes=2, **same)
    for folder in (one, two):
        model = json.loads((tmp_path / "model" / "config.json").read_text())
        model |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        (tmp_path / "model" / "config.json").write_text(json.dumps(model))
        assert start(folder).wait(PATIENCE_SECONDS) == 0, (folder / "log.txt").read_text()
    assert curve(two) == pytest.approx(curve(one), abs=2e-4)
    losses = [read_run(folder / "result").metrics["eval_loss"] for folder in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)


def test_a_killed_worker_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """After kill -9 the run counts as interrupted, and the same command takes it to its end."""
    folder = run_in(tmp_path / "run", max_steps=3_000, save_strategy="steps", save_steps=2, eval_strategy="no")
    process = start(folder)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not newest_whole(folder / "checkpoints").folder:
        assert process.poll() is None, (folder / "log.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)
    job = JobFolder(folder)
    assert job.look().state is State.INTERRUPTED
    reached = newest_whole(folder / "checkpoints").step
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps({**settings, "max_steps": reached + 2}))
    assert start(folder).wait(PATIENCE_SECONDS) == 0, (folder / "log.txt").read_text()
    assert job.look().state is State.SUCCEEDED
    assert read_run(folder / "result").steps == reached + 2
    assert [one.payload["from_step"] for one in events(job_closed(folder), "attempt")] == [0, reached]


def job_closed(folder: Path) -> Any:
    """Return a job's handle, closed: only its folder is read."""
    job = job_at(folder)
    job.close()
    return job


@pytest.mark.parametrize(
    ("device", "seen", "left"),
    [("cpu", "0,1", ""), ("auto", None, "0"), ("cuda:1", "4,5", "5"), ("cuda:7", "4,5", ""), ("cuda", "3", "3")],
)
def test_one_process_sees_one_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, seen: str | None, left: str
) -> None:
    """Trainer would spread a single process over all the GPUs that it sees, so it sees its own."""
    for name in ("WORLD_SIZE", "WANDB_SILENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen or "")
    if seen is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (tmp_path / "settings.json").write_text(json.dumps({"device": device}))
    prepare_environment(tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == left


@pytest.mark.parametrize(("task", "kept"), [("text-classification", "128"), ("text-to-image", None)])
def test_a_worker_keeps_few_kernels_of_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, kept: str | None
) -> None:
    """Batches of texts come in many shapes, a UNet's in one that needs them all."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    (tmp_path / "settings.json").write_text(json.dumps({"device": "cpu", "task": task}))
    prepare_environment(tmp_path)
    assert os.environ.get("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == kept
