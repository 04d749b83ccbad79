"""Answers on disk: in pieces, found again, and swept when they are too many."""

from __future__ import annotations

import os
from pathlib import Path

from core.evaluation.asking import Reply
from core.evaluation.predictions import Answerer, Identity, Predictions, key_of, sweep
from core.evaluation.settings import EvaluateSettings

MODEL = Identity("org/model", "a" * 40, None)


def test_answers_are_found_again(tmp_path: Path) -> None:
    """Results, problems and cuts come back as they were, with the seconds of all pieces."""
    first = Predictions(tmp_path / "key")
    assert first.missing(3) == [0, 1, 2]
    first.add([0, 2], [Reply([{"label": "a", "score": 0.1234567890123}], cut=True), Reply(problem="too long")], 0.5)
    first.add([1], [Reply("text\n with lines")], 0.25)
    again = Predictions(tmp_path / "key")
    assert again.replies == first.replies
    assert again.missing(5) == [3, 4]
    assert again.seconds == 0.75
    assert len(list((tmp_path / "key").iterdir())) == 2


def test_who_answered_is_kept(tmp_path: Path) -> None:
    """Nobody, until somebody is told; a file that makes no sense is nobody again."""
    kept = Predictions(tmp_path / "key")
    assert kept.answerer is None
    told = Answerer({"model": "m", "fallbacks": []}, ("a", "b"), 128)
    kept.tell(told)
    assert Predictions(tmp_path / "key").answerer == told
    (tmp_path / "key" / "model.json").write_text("{")
    assert kept.answerer is None


def test_a_key_is_all_that_changes_an_answer() -> None:
    """Revision, adapter, data and settings of writing are in it; metrics, seed and labels are not."""
    usual = EvaluateSettings()
    key = key_of(MODEL, "data", usual)
    same = EvaluateSettings(metrics="f1", seed=1, labels="a=b", draws=100, models="x")
    assert key_of(MODEL, "data", same) == key
    others = {
        key_of(Identity("org/model", "b" * 40, None), "data", usual),
        key_of(Identity("org/model", "a" * 40, "org/adapter@1"), "data", usual),
        key_of(MODEL, "other data", usual),
        key_of(MODEL, "data", EvaluateSettings(max_new_tokens=5)),
        key_of(MODEL, "data", EvaluateSettings(device="cpu")),
    }
    assert len(others) == 5
    assert key not in others


def test_answers_used_longest_ago_are_swept(tmp_path: Path) -> None:
    """Until the rest fits; those of the evaluation that has just ended stay."""
    for age, name in enumerate(("new", "old", "oldest")):
        kept = Predictions(tmp_path / name)
        kept.add([0], [Reply("x" * 1000)], 0.0)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert sweep(tmp_path, most_bytes=10_000) == 0
    assert sweep(tmp_path, keep=["oldest"], most_bytes=2500) > 1000
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new", "oldest"]
    assert sweep(tmp_path / "nothing") == 0
