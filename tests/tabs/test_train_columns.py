"""Which column is what, on the Train tab: guessed, chosen, and made anew for other data."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.atelier import Atelier, open_atelier
from core.errors import BadFile
from core.settings import Settings
from tabs._events import Refusal, Visit
from tabs.train._columns import other_form, told
from tabs.train._desk import NO_COLUMNS, TrainHandlers

FORM = {"task": "text-classification", "method": "lora", "dataset": "", "file": None, "columns": "", "more": ""}


@pytest.fixture
def atelier(tmp_path: Path) -> Atelier:
    """Give an instance of one's own."""
    return open_atelier(Settings(home=tmp_path / "home"))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Give a file whose columns have no usual names."""
    path = tmp_path / "films.csv"
    path.write_text("said,felt,more\na long text,good,x\nanother one,bad,y\n", encoding="utf-8")
    return str(path)


def test_the_guess_offers_what_there_is(atelier: Atelier) -> None:
    """A sample's columns are guessed, written down, and offered for everything that the task needs."""
    columns, held = TrainHandlers(atelier).guess(Visit(), **{**FORM, "dataset": "samples/reviews"})
    assert columns == "text=text, label=label"
    assert list(held["available"]) == ["text", "label"]
    assert held["forms"][held["chosen"]]["form"]["needed"] == ("text", "label")
    assert TrainHandlers(atelier).guess(Visit(), **FORM) == NO_COLUMNS


def test_the_newest_source_stands_alone(atelier: Atelier, file: str) -> None:
    """An upload takes the sample's place and a sample the upload's; what was emptied takes nothing away."""
    by, both = TrainHandlers(atelier), {**FORM, "file": file, "dataset": "samples/reviews"}
    dataset, columns, held = by.guess_of_file(Visit(), **both)
    assert (dataset, columns) == ("", "text=said, label=felt")
    assert list(held["available"]) == ["said", "felt", "more"]
    upload, columns, _ = by.guess_of_dataset(Visit(), **both)
    assert (upload, columns) == (None, "text=text, label=label")
    emptied = by.guess_of_dataset(Visit(), **{**FORM, "file": file})
    assert all("value" not in one for one in emptied)
    assert by.guess_of_file(Visit(), **FORM)[1:] == NO_COLUMNS


def test_a_file_that_cannot_be_read_offers_nothing(atelier: Atelier, tmp_path: Path) -> None:
    """The refusal takes the choices of the file before away, and still lets the upload stand alone."""
    empty = tmp_path / "empty.csv"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(Refusal) as refusal:
        TrainHandlers(atelier).guess_of_file(Visit(), **{**FORM, "file": str(empty), "dataset": "samples/reviews"})
    assert isinstance(refusal.value.problem, BadFile)
    assert refusal.value.shown == ("", *NO_COLUMNS)


def test_what_is_chosen_is_what_is_read(atelier: Atelier, file: str) -> None:
    """The lists write the text that programs send; what stands for nothing is left out."""
    columns = told(Visit(), text="said", label="felt", text_pair="")
    assert columns == "text=said, label=felt"
    kept, _ = TrainHandlers(atelier).guess(Visit(), **{**FORM, "file": file, "columns": columns})
    assert kept == columns


def test_another_form_brings_its_own_guess(atelier: Atelier, tmp_path: Path) -> None:
    """Questions and answers that look like running text can be taken as prompt and completion."""
    path = tmp_path / "talk.csv"
    path.write_text("prompt,reply\nwhy,because it is so\nwho,nobody at all\n", encoding="utf-8")
    values = {**FORM, "task": "text-generation", "file": str(path)}
    _, held = TrainHandlers(atelier).guess(Visit(), **values)
    forms = [one["form"]["needed"] for one in held["forms"]]
    place = forms.index(("prompt", "completion"))
    columns, now = other_form(Visit(), place, held)
    assert columns == "prompt=prompt"
    assert (now["chosen"], now["forms"]) == (place, held["forms"])


def test_a_task_brings_its_own_bases_and_forgets_the_columns(atelier: Atelier) -> None:
    """Base, method and sample are those of the task; no column of the one before stays chosen."""
    model, method, dataset, columns, held, *_ = TrainHandlers(atelier).task(Visit(), "fill-mask")
    assert model["value"] == model["choices"][0]
    assert "prompt-tuning" not in method["choices"]
    assert dataset["value"] == ""
    assert (columns, held) == NO_COLUMNS
