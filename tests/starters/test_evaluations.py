"""Shipped starters evaluated on our own samples: the numbers are those of a model that knows its task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.atelier import open_atelier
from core.evaluation.settings import EvaluateSettings
from core.settings import Settings
from tests.serving import until
from tests.starters.test_text_tasks import needs

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.mark.parametrize(
    ("starter", "settings", "metric", "key", "least"),
    [
        ("sentiment", {"dataset": "samples/reviews"}, "accuracy", "accuracy", 0.65),
        ("entities", {"task": "token-classification", "dataset": "samples/entities"}, "seqeval", "overall_f1", 0.7),
        ("question-answering", {"task": "question-answering", "dataset": "samples/questions"}, "squad", "f1", 60),
        ("translate-en-fr", {"task": "translation", "dataset": "samples/translations"}, "sacrebleu", "score", 25),
        ("stories", {"task": "text-generation", "dataset": "samples/stories"}, "bits_per_byte", "bits_per_byte", 1),
    ],
)
def test_a_starter_knows_its_task(
    tmp_path: Path, starter: str, settings: dict[str, Any], metric: str, key: str, least: float
) -> None:
    """A handful of rows of our own writing; each number stands in its interval, with who answered."""
    needs(starter)
    atelier = open_atelier(Settings(home=tmp_path))
    job = atelier.evaluation_desk.start(
        EvaluateSettings(**settings, models=f"starter/{starter}", max_samples=24, metrics=metric)
    )
    until(lambda: not atelier.evaluations.state(job).alive)
    (model,) = atelier.evaluation_desk.read(job)["models"]
    assert model["model"] == f"starter/{starter}"
    told = next(one for one in model["metrics"][0]["values"] if one["key"] == key)
    assert told["value"] > least
    assert told["interval"]["low"] <= told["value"] <= told["interval"]["high"]
    assert atelier.shutdown()
