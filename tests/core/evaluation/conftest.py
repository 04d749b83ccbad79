"""What the tests of evaluations share: an instance with a home of its own, tiny models, and small data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.atelier import Atelier, open_atelier
from core.evaluation.settings import EvaluateSettings
from core.jobs.runner import State
from core.settings import Settings
from tests.core.training.tiny import BAD, GOOD
from tests.fakes.models import tiny_bert, tiny_llama
from tests.serving import until


@pytest.fixture
def atelier(tmp_path: Path) -> Iterator[Atelier]:
    """Give an instance whose jobs end with the test."""
    opened = open_atelier(Settings(home=tmp_path / "home"))
    yield opened
    opened.shutdown()


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny classifier that says NEGATIVE or POSITIVE by chance."""
    return str(tiny_bert(tmp_path_factory.mktemp("classifier") / "tiny"))


@pytest.fixture(scope="session")
def other_classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give another one, whose chance is another."""
    return str(tiny_bert(tmp_path_factory.mktemp("other") / "tiny", seed=3))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny causal model whose tokens are bytes."""
    return str(tiny_llama(tmp_path_factory.mktemp("llama") / "tiny"))


def write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as an upload of JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def feelings(copies: int = 4) -> list[dict[str, Any]]:
    """Return 12 rows a copy of text and label, no two alike."""
    told = [(text, "positive") for text in GOOD] + [(text, "negative") for text in BAD]
    return [{"text": f"{text} {place}", "label": label} for place in range(copies) for text, label in told]


def ended(atelier: Atelier, job: str) -> State:
    """Wait for an evaluation's end."""
    until(lambda: not atelier.evaluations.state(job).alive)
    return atelier.evaluations.state(job)


def evaluated(atelier: Atelier, **settings: Any) -> tuple[str, dict[str, Any]]:
    """Evaluate to the end, and return the job's id with what evaluation.json holds."""
    job = atelier.evaluation_desk.start(EvaluateSettings(**settings))
    assert ended(atelier, job) is State.SUCCEEDED, atelier.evaluations.log(job)
    return job, atelier.evaluation_desk.read(job)


def values_of(model: dict[str, Any]) -> dict[str, float]:
    """Return all numbers of a model by metric and key."""
    return {f"{one['name']}.{told['key']}": told["value"] for one in model["metrics"] for told in one["values"]}
