"""Limits beside a field: what passes, what is refused, and with which numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from core import fields as limits
from core.errors import InvalidInput
from core.fields import CHOICE, NUMBER, TEXT, enforce


@dataclass(frozen=True)
class Example:
    """One field of each kind."""

    text: str = limits.text(limit=10)
    note: str = limits.text(limit=5, optional=True)
    top_k: int = limits.number(5, low=1, high=50)
    share: float = limits.number(0.5, low=0, high=1, step=0.1)
    mode: str = limits.choice("mean", ("mean", "max"))
    flag: bool = False

    def __post_init__(self) -> None:
        """Hold the law."""
        enforce(self)


def test_defaults_pass() -> None:
    """Everything but the input itself has a default that passes its own limits."""
    assert Example("hello") == Example("hello", "", 5, 0.5, "mean", flag=False)


def test_the_input_itself_has_no_default() -> None:
    """A text that is neither optional nor given is missing."""
    with pytest.raises(TypeError, match="text"):
        Example()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "values",
    [
        {"text": "x" * 10},
        {"note": "x" * 5},
        {"top_k": 1},
        {"top_k": 50},
        {"share": 0},
        {"share": 1.0},
        {"mode": "max"},
    ],
)
def test_limits_themselves_are_allowed(values: dict[str, Any]) -> None:
    """A value on its limit passes."""
    made = Example(**{"text": "x", **values})
    for name, value in values.items():
        assert getattr(made, name) == value


@pytest.mark.parametrize(
    ("values", "key", "told"),
    [
        ({"text": ""}, "error.text_empty", {"name": "text", "limit": 10}),
        ({"text": " \n\t"}, "error.text_empty", {"name": "text", "limit": 10}),
        ({"text": "x" * 11}, "error.text_too_long", {"name": "text", "length": 11, "limit": 10}),
        ({"text": None}, "error.not_text", {"name": "text"}),
        ({"text": 3}, "error.not_text", {"name": "text"}),
        ({"note": "x" * 6}, "error.text_too_long", {"name": "note", "length": 6, "limit": 5}),
        ({"top_k": 0}, "error.number_outside", {"name": "top_k", "value": 0, "low": 1, "high": 50}),
        ({"top_k": 51}, "error.number_outside", {"name": "top_k", "value": 51, "low": 1, "high": 50}),
        ({"top_k": 2.5}, "error.not_whole", {"name": "top_k", "low": 1, "high": 50}),
        ({"top_k": "2"}, "error.not_a_number", {"name": "top_k", "low": 1, "high": 50}),
        ({"top_k": None}, "error.not_a_number", {"name": "top_k", "low": 1, "high": 50}),
        ({"top_k": True}, "error.not_a_number", {"name": "top_k", "low": 1, "high": 50}),
        ({"share": float("nan")}, "error.not_a_number", {"name": "share", "low": 0, "high": 1}),
        ({"share": float("inf")}, "error.not_a_number", {"name": "share", "low": 0, "high": 1}),
        ({"share": 1.01}, "error.number_outside", {"name": "share", "value": 1.01, "low": 0, "high": 1}),
        ({"mode": "min"}, "error.not_an_option", {"name": "mode", "value": "min", "options": "mean, max"}),
        ({"mode": None}, "error.not_an_option", {"name": "mode", "value": None, "options": "mean, max"}),
    ],
)
def test_refusals_name_the_field_and_its_numbers(values: dict[str, Any], key: str, told: dict[str, Any]) -> None:
    """What breaks a limit is refused with the field's name and its limits."""
    with pytest.raises(InvalidInput) as caught:
        Example(**{"text": "x", **values})
    assert (caught.value.sentence.key, dict(caught.value.sentence.values)) == (key, told)


def test_whole_floats_become_ints() -> None:
    """A slider's 7.0 is the number 7 where the field is a whole number, and stays a float elsewhere."""
    made = Example("x", top_k=7.0, share=1.0)  # type: ignore[arg-type]
    assert (type(made.top_k), type(made.share)) == (int, float)


def test_the_form_can_read_the_limits() -> None:
    """A field tells its kind and limits to whoever builds a control from it."""
    told = {field.name: dict(field.metadata) for field in fields(Example)}
    assert told["text"] == {"kind": TEXT, "limit": 10, "optional": False}
    assert told["share"] == {"kind": NUMBER, "low": 0, "high": 1, "step": 0.1}
    assert told["mode"] == {"kind": CHOICE, "options": ("mean", "max")}
    assert told["flag"] == {}
