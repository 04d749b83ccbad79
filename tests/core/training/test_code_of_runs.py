"""The code beside a run's answer gives that very answer without Atelier."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.snippets.python import python_snippet
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from tests.core.training.finished import registry_at, train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert

BRIEF: dict[str, Any] = {"max_steps": 3, "learning_rate": 0.05, "eval_strategy": "no", "warmup_steps": 0}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_plain_libraries_give_the_same_answer(tmp_path: Path, method: str) -> None:
    """A run that goes on from another, and one that is a model of its own, as a program of a few lines."""
    train(tmp_path, tiny_bert(tmp_path / "bert"), feelings(), name="first", method=method, **BRIEF)
    train(tmp_path, "run/first", feelings(), name="second", **BRIEF)
    settings = TextClassificationSettings(text="i love the film", model="run/second")
    found = classify_text(settings, registry_at(tmp_path))
    program = python_snippet("text-classification", settings, found)
    assert "run/" not in program
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = {one["label"]: one["score"] for one in json.loads(ran.stdout)}
    assert told == pytest.approx({one["label"]: one["score"] for one in found.result}, abs=1e-4)
    assert str(tmp_path / "runs") not in json.dumps(found.provenance.as_dict())
