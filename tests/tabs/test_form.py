"""Controls from settings: limits, defaults and words are the field's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from core.catalogue import TASKS, model_choices, starter_folder, starter_names
from core.fields import choice, number, text
from core.words import dictionary
from tabs._form import control, controls, model_control


@dataclass(frozen=True)
class Example:
    """One field of each kind."""

    text: str = text(limit=9)
    top_k: int = number(5, low=1, high=50)
    dtype: str = choice("auto", ("auto", "float32"))
    normalize: bool = True


def test_each_kind_has_its_control() -> None:
    """A text is a box, a number a slider, a choice a list, a flag a check box."""
    made = controls(Example, "text", "top_k", "dtype", "normalize").values()
    assert [one.get_block_name() for one in made] == ["textbox", "slider", "dropdown", "checkbox"]


def test_limits_and_defaults_are_the_fields() -> None:
    """What the dataclass enforces is what the control shows."""
    slider = control(Example, "top_k")
    assert (slider.minimum, slider.maximum, slider.value) == (1, 50, 5)
    listed = control(Example, "dtype")
    assert [value for _, value in listed.choices] == ["auto", "float32"]
    assert listed.value == "auto"
    assert control(Example, "normalize").value is True
    assert control(Example, "text").value is None


def test_overrides_win() -> None:
    """A panel may change what the field says."""
    assert control(Example, "top_k", value=7).value == 7


def test_a_model_is_chosen_or_typed() -> None:
    """The starter, or what stands for one, is chosen first, and any other name may be typed."""
    for task in TASKS:
        found = model_control(task)
        assert found.value == TASKS[task].default
        assert [value for _, value in found.choices] == model_choices(task)
        assert found.allow_custom_value


@pytest.mark.parametrize(
    ("language", "english"), [("en", "English only"), ("zh-TW", "英文"), ("zh-CN", "英文"), ("ko", "영어만")]
)
def test_the_hint_says_what_starters_read(language: str, english: str) -> None:
    """Beside the model choice stands in every language that starters read English only, as each one's card says."""
    assert model_control("text-classification").info.key == "page.field.model.info"
    assert english in dictionary(language)["page.field.model.info"]
    cards = [(starter_folder(name) / "README.md").read_text(encoding="utf-8") for name in starter_names()]
    assert cards
    assert all(re.search(r"^language:(?: en|\n- en)$", card, re.MULTILINE) for card in cards)
