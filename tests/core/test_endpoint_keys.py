"""Which key opens which server, and that a bad pair is told without showing it."""

from __future__ import annotations

import pytest

from core.endpoint_keys import VARIABLE, endpoint_keys, key_values
from core.errors import InvalidInput
from core.redaction import REMOVED, Redactor
from core.settings import from_arguments


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}, {VARIABLE: " , ,"}])
def test_no_keys(environment: dict[str, str]) -> None:
    """Nothing set means no keys."""
    assert endpoint_keys(environment) == {}


def test_pairs() -> None:
    """A host with or without a port has its key; names are read in lower case, the usual port of https as none."""
    text = "API.example.com=sk-1==, gpu-box:8000=a/b+c ,[::1]:1=x,other.example:443=y"
    expected = {"api.example.com": "sk-1==", "gpu-box:8000": "a/b+c", "[::1]:1": "x", "other.example": "y"}
    assert endpoint_keys({VARIABLE: text}) == expected


@pytest.mark.parametrize(
    "pair", ["secret-key", "host=", "=secret-key", "http://host=secret-key", "ho st=x", "host=se cret"]
)
def test_a_bad_pair_is_told_by_its_place(pair: str) -> None:
    """What is no host=key is refused at the start of the app, and the refusal shows nothing of it."""
    with pytest.raises(InvalidInput) as refusal:
        from_arguments([], {VARIABLE: f"good.example=fine,{pair}"})
    assert refusal.value.sentence.values == {"place": 2}
    assert "secret" not in str(refusal.value)


def test_keys_are_not_written_down() -> None:
    """Every key is removed from whatever is about to be written, that of a bad pair, too."""
    environment = {VARIABLE: "one.example=first-key,two words=second-key"}
    assert key_values(environment) == {"first-key", "second-key"}
    told = Redactor.of({}, environment).text("sent first-key and second-key")
    assert told == f"sent {REMOVED} and {REMOVED}"
