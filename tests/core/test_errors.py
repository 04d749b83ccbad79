"""Errors carry a sentence, speak English by themselves, and stand in the tree that their docstring draws."""

from __future__ import annotations

import inspect

import pytest

from core import errors
from core.errors import AtelierError, BadFile, HubMissing, InvalidInput, NotEnoughMemory
from core.words import Sentence

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, AtelierError)]


def test_an_error_speaks_english() -> None:
    """The exception's own text is the filled English sentence."""
    refusal = InvalidInput("error.text_empty", name="text", limit=9_000)
    assert str(refusal) == "text: there is no text yet. Type or paste up to 9,000 characters and try again."


def test_an_error_keeps_its_sentence() -> None:
    """The sentence stays whole, so that a handler can say it in the visitor's language."""
    refusal = InvalidInput("error.not_text", name="text")
    assert refusal.sentence == Sentence("error.not_text", {"name": "text"})


def test_a_key_without_a_sentence_is_a_bug() -> None:
    """An error that names no sentence fails where it is raised, not where it is shown."""
    with pytest.raises(KeyError):
        InvalidInput("error.nobody_wrote_this")


def test_a_missing_value_is_a_bug() -> None:
    """An error without a value that its sentence asks for fails where it is raised."""
    with pytest.raises(KeyError, match="name"):
        InvalidInput("error.not_text")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_docstring_draws_every_class(kind: type[AtelierError]) -> None:
    """Each class stands in the drawn tree, one step right of its parent."""
    columns: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        words = [word for word in line.split() if word.isidentifier()]
        if words:
            columns.setdefault(words[0], line.index(words[0]))
    parent = kind.__mro__[1]
    assert kind.__name__ in columns
    if kind is not AtelierError:
        assert columns[kind.__name__] == columns[parent.__name__] + 4


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [(BadFile, InvalidInput), (NotEnoughMemory, errors.ModelError), (HubMissing, errors.HubError)],
)
def test_families(kind: type[AtelierError], caught_by: type[AtelierError]) -> None:
    """Whoever catches the family catches the member."""
    with pytest.raises(caught_by):
        raise kind("error.cancelled")
