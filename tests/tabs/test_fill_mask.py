"""What the panel that fills gaps draws: the text with its words, and each candidate as a button."""

from __future__ import annotations

from core.provenance import Provenance
from core.tasks.text.fill_mask import Candidate, FilledMasks, FillMaskSettings
from core.words import say
from tabs._events import Visit
from tabs.text.fill_mask import BLANK, _show

PROVENANCE = Provenance("m", "r", None, "cpu", "float32", "sdpa", None, 0.5)
MARKUP = '<img src=x onerror="alert(1)">'


def drawn(part: str, *masks: tuple[str, ...], reading: tuple[str, ...] = (), targets: tuple[str, ...] = ()) -> str:
    """Return the view of an answer with these candidates for each gap."""
    found = tuple(
        tuple(Candidate(0.5**place, 7, token, part) for place, token in enumerate(tokens, 12)) for tokens in masks
    )
    answer = FilledMasks(part, "[MASK]", found, reading, targets, PROVENANCE)
    return _show(answer, FillMaskSettings(text=part), Visit())


def test_one_gap_shows_the_likeliest_word_in_the_text() -> None:
    """The word is marked where the gap was; under it each candidate is a button that knows its gap."""
    html = drawn("The [MASK] sat.", ("cat", "dog"))
    assert "The <mark>cat</mark> sat." in html
    assert '<button type="button" data-choice="dog" data-mask="[MASK]" data-gap="0">dog</button>' in html
    assert str(say("say.choose_candidate")) in html


def test_several_gaps_show_a_reading_and_each_gap() -> None:
    """The reading has all words at once; the candidates stand under the number of their gap."""
    html = drawn("The [MASK] sat on a [MASK].", ("cat",), ("rug",), reading=("dog", "mat"))
    assert "The <mark>dog</mark> sat on a <mark>mat</mark>." in html
    assert html.index(str(say("say.mask_number", number=1))) < html.index('data-gap="0"')
    assert html.index(str(say("say.mask_number", number=2))) < html.index('data-gap="1"')


def test_gaps_without_a_reading_show_their_candidates() -> None:
    """Where no word was found for all gaps together, each gap still has its own."""
    assert drawn("[MASK] [MASK]", ("a",), ("b",)).count("<button") == 2


def test_a_token_is_spelled_as_it_stands_in_a_text() -> None:
    """A piece that goes on joins the word before it, a leading space is the text's, and nothing is shown as a sign."""
    html = drawn("I was walk [MASK].", ("##ing", " now", " "))
    assert "I was walk<mark>ing</mark>." in html
    assert 'data-choice="ing" data-mask="[MASK]" data-gap="0" data-joined="yes">ing<' in html
    assert 'data-choice="now"' in html
    assert f">{BLANK}</button>" in html


def test_words_of_ones_own_are_compared_with_each_other() -> None:
    """However unlikely they are among all words, the likeliest has a whole bar, and the numbers keep two digits."""
    html = drawn("[MASK]", ("rug", "mat"), targets=("rug", "mat"))
    assert "width:100.0%" in html
    assert "width:50.0%" in html
    assert f">{0.5**12:.2g}<" in html
    assert str(say("say.targets_compared")) in html


def test_markup_stays_text() -> None:
    """Neither the text nor a token becomes markup."""
    html = drawn(f"{MARKUP} [MASK]", (MARKUP,), reading=(MARKUP,))
    assert "<img" not in html
    assert 'onerror="' not in html
