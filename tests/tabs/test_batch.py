"""The batch panel: what it asks of an upload before the job reads all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.atelier import Atelier, open_atelier
from core.errors import AtelierError, BadFile
from core.settings import Settings
from core.tables import HEAD_BYTES
from core.tasks.text.row_tasks import ASKED_BY
from core.words import say
from tabs._events import Visit
from tabs.text.batch import _columns, _fields, _Handlers


@pytest.fixture
def atelier(tmp_path: Path) -> Atelier:
    """Give an instance with a home of its own."""
    return open_atelier(Settings(home=tmp_path / "home"))


@pytest.fixture
def upload(tmp_path: Path) -> str:
    """Give a table whose damage lies further down than its head."""
    path = tmp_path / "t.csv"
    path.write_text("id,note\n" + "1,a fine film\n" * (HEAD_BYTES // 10) + "\0", encoding="utf-8")
    return str(path)


def test_choosing_a_file_reads_its_head(upload: str) -> None:
    """The columns are offered without a look at the rest of the file."""
    offered = _columns(Visit(), upload)
    assert ([name for name, _ in offered.choices], offered.value) == (["id", "note"], "note")


def test_a_wrong_column_starts_no_job(atelier: Atelier, upload: str) -> None:
    """What the head tells is refused at once, with the names that there are."""
    with pytest.raises(BadFile) as refusal:
        next(_Handlers(atelier).text_batch(Visit(), upload, column="text"))
    assert refusal.value.sentence == say("error.no_such_column", column="text", columns="id, note")
    assert list(atelier.jobs.list()) == []


@pytest.mark.parametrize("column", ["", "note"])
def test_the_rest_is_read_by_the_job(atelier: Atelier, upload: str, column: str) -> None:
    """Damage further down starts a job, which ends with the sentence: on the page, and as a refusal."""
    damaged = say("error.damaged_file", file="t.csv", kind="CSV")
    with pytest.raises(AtelierError) as refusal:
        list(_Handlers(atelier).text_batch(Visit(), upload, column=column))
    assert refusal.value.sentence == damaged
    assert str(damaged) in next(_Handlers(atelier).text_batch_job(Visit(), ""))[0]
    assert [view.state.value for view in atelier.jobs.list()] == ["failed"]


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ("translation", {"source_language", "target_language", "max_new_tokens", "num_beams"}),
        ("zero-shot-classification", {"labels"}),
        ("summarization", {"sentences", "min_length", "max_length", "num_beams"}),
        ("text-classification", set()),
    ],
)
def test_a_batch_asks_for_what_its_task_needs(atelier: Atelier, task: str, asked: set[str]) -> None:
    """Of the fields that only some tasks have, the chosen task's are shown."""
    _, *shown = _fields(atelier)(Visit(), task)
    assert {name for name, one in zip(ASKED_BY, shown, strict=True) if one["visible"]} == asked
