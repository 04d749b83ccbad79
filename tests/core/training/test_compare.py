"""Base and run answer the same text side by side; a base without a head says that it has no answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import WrongTask
from core.tasks.text.question import Question
from core.training.compare import compare_with_base
from tests.core.test_runs import write_run
from tests.core.training.finished import registry_at, train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert, tiny_llama, tiny_t5

BRIEF: dict[str, Any] = {"max_steps": 3, "learning_rate": 0.1, "eval_strategy": "no", "warmup_steps": 0}
TEXT = "i love the film"


def test_both_sides_of_a_classifier(tmp_path: Path) -> None:
    """Each has its own scores and its own provenance."""
    train(tmp_path, tiny_bert(tmp_path / "bert"), feelings(), name="feel", **BRIEF)
    found = compare_with_base("run/feel", Question(TEXT), registry_at(tmp_path))
    assert found.task == "text-classification"
    assert (found.base.model, found.adapted.model) == (str(tmp_path / "bert"), "run/feel")
    assert {one["label"] for one in found.adapted.result} == {"good", "bad"}
    assert not found.same
    assert found.base.provenance
    assert found.adapted.provenance
    assert (found.base.provenance.adapter, found.adapted.provenance.lineage[-1][:9]) == (None, "run/feel@")


def test_a_base_without_a_head_has_no_answer(tmp_path: Path) -> None:
    """A masked language model names no feelings: its side says why, the run's side answers."""
    train(tmp_path, tiny_bert(tmp_path / "bert", "masked-lm"), feelings(), name="feel", **BRIEF)
    found = compare_with_base("run/feel", Question(TEXT), registry_at(tmp_path))
    assert found.base.result is None
    assert found.base.refusal
    assert found.base.refusal.key == "say.compare_no_head"
    assert found.adapted.result
    assert not found.same


def test_texts_are_written_on_alike_but_for_the_weights(tmp_path: Path) -> None:
    """Greedy, so that the same run beside itself would be equal: asked twice, each side repeats itself."""
    rows = [{"text": row["text"]} for row in feelings()]
    train(tmp_path, tiny_llama(tmp_path / "llama"), rows, name="talk", task="text-generation", **BRIEF)
    registry, asked = registry_at(tmp_path), Question("the film", max_new_tokens=8)
    first, again = (compare_with_base("run/talk", asked, registry) for _ in range(2))
    assert first.base.result == again.base.result
    assert first.adapted.result == again.adapted.result
    assert first.adapted.result[0]["generated_text"].startswith("the film")


def test_a_translation_is_compared(tmp_path: Path) -> None:
    """Both translate the same sentence."""
    rows = [{"source": row["text"], "target": row["text"][:8]} for row in feelings()]
    model = tiny_t5(tmp_path / "t5", tiny_bert(tmp_path / "bert"))
    train(tmp_path, model, rows, name="pairs", task="translation", **BRIEF)
    found = compare_with_base("run/pairs", Question(TEXT, max_new_tokens=6), registry_at(tmp_path))
    assert "translation_text" in found.base.result[0]
    assert "translation_text" in found.adapted.result[0]


def test_pictures_are_compared_elsewhere(tmp_path: Path) -> None:
    """A run that draws is refused with where to compare it."""
    write_run(tmp_path / "runs", "style", task="text-to-image")
    with pytest.raises(WrongTask) as refusal:
        compare_with_base("run/style", Question(TEXT), registry_at(tmp_path))
    assert refusal.value.sentence.key == "error.compare_pictures"
