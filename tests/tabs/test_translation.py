"""The translation panel: what is shown of an answer, and what its button copies."""

from __future__ import annotations

import pytest

from core.provenance import Provenance
from core.tasks.text.direction import Direction
from core.tasks.text.translation import Pair, Translation, TranslationSettings
from tabs._events import Visit
from tabs.text import translation
from tabs.text._languages import language_control
from tabs.text.translation import _show, _sketch

TEXT = "Hello <b>there</b>.\n\nBye!"
RAN = Provenance("org/model", "1", None, "cpu", "float32", "sdpa")
PAIRS = (Pair(0, 19, "Bonjour <i>."), Pair(21, 25, "Salut !"))
SETTINGS = TranslationSettings(text=TEXT)


def answer(direction: Direction) -> Translation:
    """Make an answer in some direction."""
    return Translation("Bonjour <i>.\n\nSalut !", PAIRS, direction, RAN)


def test_each_sentence_stands_beside_its_original() -> None:
    """The translated text can be copied as it is; below it are the pairs; markup is shown, not run."""
    view = _show(answer(Direction()), SETTINGS, Visit())
    assert '<p class="answer">Bonjour &lt;i&gt;.\n\nSalut !</p>' in view
    assert "<button" in view
    assert (
        '<li><span dir="auto">Hello &lt;b&gt;there&lt;/b&gt;.</span><span dir="auto">Bonjour &lt;i&gt;.</span></li>'
        in view
    )
    assert view.count("<li>") == 2
    assert "→" not in view


@pytest.mark.parametrize(
    ("direction", "told"),
    [(Direction("eng_Latn", "fra_Latn"), "eng_Latn → fra_Latn"), (Direction(None, "fra"), "? → fra")],
)
def test_the_direction_is_shown_as_far_as_it_is_known(direction: Direction, told: str) -> None:
    """The model's own codes are shown, for they are what it was told."""
    assert told in _show(answer(direction), SETTINGS, Visit())


def test_words_of_the_button_are_the_visitors() -> None:
    """The button speaks the visitor's language."""
    assert ">複製</button>" in _show(answer(Direction()), SETTINGS, Visit(language="zh-TW"))


def test_the_sketch_shows_what_is_done() -> None:
    """While it is being translated, the sentences that are done are shown."""
    assert _sketch(PAIRS[1:], SETTINGS).count("<li>") == 1
    assert _sketch((), SETTINGS) == ""


def test_long_texts_show_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many sentences the first are shown in pairs, and a sentence says how many there are."""
    monkeypatch.setattr(translation, "MOST_PAIRS", 1)
    view = _show(answer(Direction()), SETTINGS, Visit())
    assert view.count("<li>") == 1
    assert "first 1 of 2 sentences" in view


def test_languages_may_be_typed() -> None:
    """The choice begins empty and takes whatever is typed: a model may know more than the page lists."""
    control = language_control("target_language")
    assert (control.value, control.allow_custom_value) == ("", True)
    assert ("Français (fr)", "fr") in control.choices
