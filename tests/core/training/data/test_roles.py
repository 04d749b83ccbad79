"""Columns as choices: what is needed, what was guessed or told, and what there is."""

from __future__ import annotations

from typing import Any

from core.training.data.columns import columns_as_text, told_columns
from core.training.data.roles import ColumnChoices, column_choices
from core.training.data.source import Source

REVIEWS = [{"Review": f"a long text {place}", "Title": "t", "Stars": str(place % 2)} for place in range(8)]


def choices(rows: list[dict[str, Any]], task: str, told: str = "") -> ColumnChoices:
    """Return the choices of a file with these rows."""
    return column_choices(Source("rows.csv", tuple(rows[0]), rows), task, "auto", told)


def test_what_is_guessed_can_be_chosen_otherwise() -> None:
    """Every column of the file is offered for what the task needs; the guess stands there first."""
    found = choices(REVIEWS, "text-classification")
    assert found.available == ("Review", "Title", "Stars")
    (one,) = found.forms
    assert one.form.needed == ("text", "label")
    assert one.form.optional == ("text_pair",)
    assert one.columns == {"text": "Review", "label": "Stars"}
    assert one.missing == ()


def test_what_was_told_stays_where_the_data_have_it() -> None:
    """A correction holds; of other data, of another task, or half typed, all is guessed anew."""
    kept = choices(REVIEWS, "text-classification", "text=Title")
    assert kept.forms[0].columns == {"text": "Title", "label": "Stars"}
    for told in ("text=gone", "source=Title", "text Title", ""):
        assert choices(REVIEWS, "text-classification", told).forms[0].columns["text"] == "Review"


def test_what_cannot_be_guessed_is_left_to_choose() -> None:
    """A file in which nothing looks like a class is no error yet: the choice is empty."""
    found = choices([{"a": "one", "b": "1"}], "text-classification")
    assert found.forms[0].missing == ("label",)
    assert found.available == ("a", "b")


def test_a_task_with_several_forms_offers_them() -> None:
    """The form that fits stands first chosen; a column that was told decides among them."""
    rows = [{"q": "why", "a": "because it is so"}]
    plain = choices(rows, "text-generation")
    assert plain.forms[plain.chosen].form.needed == ("text",)
    pairs = choices(rows, "text-generation", "prompt=q, completion=a")
    assert pairs.forms[pairs.chosen].form.needed == ("prompt", "completion")
    assert pairs.forms[pairs.chosen].columns == {"prompt": "q", "completion": "a"}


def test_a_comma_in_a_columns_name_is_part_of_it() -> None:
    """What is written from choices is read back as it was."""
    columns = {"text": "what, then", "label": "a=b"}
    assert columns_as_text(columns) == "text=what, then, label=a=b"
    assert told_columns(columns_as_text(columns)) == columns
