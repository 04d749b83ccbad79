"""Sentences: looked up by key, filled late, in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import words
from core.words import LANGUAGES, Sentence, dictionary, in_bytes, say


@pytest.fixture
def two_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put our own small dictionaries in the place of the shipped ones."""
    texts = {
        "en": {"say.cat": "{name} sleeps", "say.home": "at home", "say.where": "{who}, {place}"},
        "ko": {"say.cat": "{name} 잔다", "say.where": "{place} {who}"},
        "zh-TW": {},
        "zh-CN": {},
    }
    for language, own in texts.items():
        (tmp_path / f"{language}.json").write_text(json.dumps(own), encoding="utf-8")
    monkeypatch.setattr(words, "FOLDER", tmp_path)
    dictionary.cache_clear()
    yield
    dictionary.cache_clear()


@pytest.mark.usefixtures("two_words")
def test_a_sentence_is_filled_in_the_language_asked_for() -> None:
    """One sentence says the same in two languages."""
    cat = say("say.cat", name="Mia")
    assert (str(cat), cat.in_language("ko")) == ("Mia sleeps", "Mia 잔다")


@pytest.mark.usefixtures("two_words")
def test_english_fills_what_is_missing() -> None:
    """A key without a translation is said in English."""
    assert say("say.home").in_language("ko") == "at home"


@pytest.mark.usefixtures("two_words")
@pytest.mark.parametrize("language", ["fr", "", "EN", "../ko"])
def test_an_unknown_language_is_english(language: str) -> None:
    """What we do not speak is answered in English, whatever it looks like."""
    assert say("say.cat", name="Mia").in_language(language) == "Mia sleeps"


@pytest.mark.usefixtures("two_words")
def test_a_sentence_inside_a_sentence_follows_its_language() -> None:
    """A value that is a sentence itself is said in the same language."""
    nested = say("say.where", who=say("say.cat", name="Mia"), place=say("say.home"))
    assert nested.in_language("ko") == "at home Mia 잔다"


def test_values_are_not_templates() -> None:
    """Braces in a value stay braces: what a visitor types is never formatted."""
    assert str(say("error.bad_model_name", name="{limit}{0}")).count("{limit}{0}") == 1


def test_equal_sentences_are_equal() -> None:
    """Two sentences with the same key and values are the same."""
    assert say("error.port", port=1) == Sentence("error.port", {"port": 1})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_dictionary(language: str) -> None:
    """Each language offers every English key."""
    assert set(dictionary(language)) >= set(dictionary("en"))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 KB"),
        (87_400_000, "87.4 MB"),
        (999_960, "1.0 MB"),
        (3_000_000_000, "3.0 GB"),
        (2.5e12, "2.5 TB"),
        (5e15, "5000.0 TB"),
        (-1_500, "-1.5 KB"),
    ],
)
def test_bytes_are_written_in_decimal_units(count: float, text: str) -> None:
    """A byte count takes the unit in which it has at most three digits before the point, up to TB."""
    assert in_bytes(count) == text
