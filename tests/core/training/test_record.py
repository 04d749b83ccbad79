"""run.json: read as it was written, and refused in words where it is not what we wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import BadFile
from core.training.methods import Parameters
from core.training.record import RUN_FILE, BaseRecord, RunRecord, is_whole, read_run, write_run

RECORD = RunRecord(
    name="feelings",
    job="abc",
    task="text-classification",
    method="lora",
    base=BaseRecord("org/model", "0123", "hub", ("org/adapter@4567",)),
    labels=("bad", "good"),
    columns={"text": "review"},
    data_hash="ff",
    settings={"seed": 5},
    metrics={"eval_f1": 0.5},
    parameters=Parameters(10, 100),
    steps=3,
    best_step=None,
    epochs=1.5,
    seconds=2.0,
    peak_bytes=1,
    rows={"train": 9, "validation": 1},
    device="a processor",
    created=1.0,
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Nothing is lost on the way, and the file is there only when it is whole."""
    assert not is_whole(tmp_path)
    write_run(RECORD, tmp_path)
    assert is_whole(tmp_path)
    assert read_run(tmp_path) == RECORD


def test_a_later_version_may_say_more(tmp_path: Path) -> None:
    """What is not known here is left out."""
    write_run(RECORD, tmp_path)
    held = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps({**held, "later": 1}))
    assert read_run(tmp_path) == RECORD


@pytest.mark.parametrize("held", [None, "", "[]", "{}", '{"base": 1}'])
def test_what_is_no_record_is_refused(tmp_path: Path, held: str | None) -> None:
    """A missing, torn or foreign file is named in the refusal."""
    if held is not None:
        (tmp_path / RUN_FILE).write_text(held)
    with pytest.raises(BadFile, match=RUN_FILE):
        read_run(tmp_path)
