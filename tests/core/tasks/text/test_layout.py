"""What of a text is translated, what stays, and how a long piece is cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.settings import LIMITS
from core.tasks.text.fitting import fitting, halves, parts
from core.tasks.text.layout import in_one_line, laid_out, translatable, wrapped_as
from core.tasks.text.sentences import Span, split_sentences

LETTER = """# News

Hello there. How are you?  Fine!
  - buy milk
  - [x] call home
\t2) Wash the apples. Dry them.
> A quotation.

---
12:30
https://example.org/a?b=1
me@example.org
"""


def shouted(text: str) -> str:
    """Translate into capitals."""
    spans = translatable(text)
    return "".join(laid_out(text, spans, [in_one_line(text, span).upper() for span in spans]))


def test_everything_but_the_words_stays() -> None:
    """Line breaks, blank lines, indentation, markers, double spaces, rules, times and addresses are as they were."""
    assert shouted(LETTER) == LETTER.upper().replace("[X]", "[x]").replace(
        "HTTPS://EXAMPLE.ORG/A?B=1\nME@EXAMPLE.ORG", "https://example.org/a?b=1\nme@example.org"
    )
    assert [LETTER[span.start : span.end] for span in translatable(LETTER)][:5] == [
        "News",
        "Hello there.",
        "How are you?",
        "Fine!",
        "buy milk",
    ]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("Name:\tTom  Smith\tage ten", ["Name:", "Tom  Smith", "age ten"]),
        ("bread     two pounds\nmilk      12", ["bread", "two pounds\nmilk"]),
        ("\ta line\t\t", ["a line"]),
    ],
)
def test_columns_of_a_line_are_apart(text: str, cells: list[str]) -> None:
    """What tabs or many spaces set apart is translated on its own, and they stay."""
    assert [text[span.start : span.end] for span in translatable(text)] == cells
    assert shouted(text).split() == text.upper().split()
    assert shouted(text).count("\t") == text.count("\t")


@pytest.mark.parametrize("text", ["", " \n", "...", "1, 2, 3", "😀 !", "---\n***"])
def test_nothing_to_translate(text: str) -> None:
    """A text without a letter has no sentence, and comes back as it is."""
    assert translatable(text) == []
    assert laid_out(text, [], []) == [text]


@pytest.mark.parametrize("line", ["a://b", "x:://y", "@a@b.c", "a@b.c.d", "me@例.中文"])
def test_an_address_is_no_sentence(line: str) -> None:
    """A link and an e-mail address stay, whatever else they hold."""
    assert translatable(line) == []


@pytest.mark.parametrize("line", ["://ab", "ab://", "@b.c", "a@b.", "a@.b", "a.b@c", "a b@c.d", "a@b.c-"])
def test_what_only_looks_like_an_address_is_translated(line: str) -> None:
    """Without a name before and behind its signs, or with a space, a line is words like any other."""
    assert translatable(line)


@pytest.mark.parametrize("piece", ["@.", "a@", "://", "- "])
def test_the_longest_text_is_looked_at_once(piece: str) -> None:
    """Signs that a pattern would begin with again and again take no longer than other signs; these took minutes."""
    text = (piece * LIMITS.context_characters)[: LIMITS.context_characters - 1] + "!"
    spans = translatable(text)
    assert "".join(laid_out(text, spans, [text[span.start : span.end] for span in spans])).split() == text.split()


def test_a_run_of_spaces_is_looked_at_once() -> None:
    """However many spaces stand in a line, those at its break are the break's."""
    spaces = " " * (LIMITS.context_characters - 4)
    assert wrapped_as(f"a{spaces}b \n c", "one two") == "one \n two"
    assert wrapped_as(f"a{spaces}\nb", "one two") == f"one{spaces}\ntwo"


def test_wrapped_lines_are_wrapped_again() -> None:
    """A sentence that was only wrapped is translated whole and gets as many lines, with their indentation."""
    text = "Dear friends, this is\na letter that goes\r\non and on. Bye."
    spans = translatable(text)
    assert in_one_line(text, spans[0]) == "Dear friends, this is a letter that goes on and on."
    made = "".join(laid_out(text, spans, ["Chers amis, ceci est une lettre qui continue.", "Salut."]))
    assert made == "Chers amis, ceci\nest une lettre qui\r\ncontinue. Salut."
    assert wrapped_as("one two\nthree four", "一二三四") == "一二\n三四"


def test_spaces_follow_the_script() -> None:
    """Between sentences a space comes where the translation needs one, and goes where it has none."""
    chinese, english = "你好。今天很好！我們走吧。", "Hello. It is fine! Let us go."
    translated = ["Hello.", "It is fine!", "Let us go."]
    assert "".join(laid_out(chinese, translatable(chinese), translated)) == english
    back = laid_out(english, translatable(english), ["你好。", "今天很好！", "我們走吧。"])
    assert "".join(back) == chinese


def words_of(pieces: Sequence[str]) -> list[int]:
    """Count words, and two special tokens."""
    return [len(piece.split()) + 2 for piece in pieces]


def test_long_sentences_are_cut_at_their_commas() -> None:
    """A sentence that does not fit is cut behind a comma near its middle, else at a space, and nothing is lost."""
    text = "one two three, four five six seven eight"
    assert [text[one.start : one.end] for one in halves(text, Span(0, len(text)))] == [
        "one two three,",
        "four five six seven eight",
    ]
    pieces = [text[one.start : one.end] for one in fitting(text, [Span(0, len(text))], words_of, 5)]
    assert pieces == ["one two three,", "four five six", "seven eight"]
    assert [one.end for one in halves("abcdef", Span(0, 6))] == [3, 6]
    assert fitting("a", [Span(0, 1)], lambda pieces: [9 for _ in pieces], 5) == [Span(0, 1)]


def test_parts_are_few_and_alike() -> None:
    """A text is cut between sentences into as few parts as fit, none of them much shorter than the others."""
    text = " ".join(f"Sentence number {place}." for place in range(7))
    found = parts(text, words_of, 20)
    assert " ".join(found) == text
    assert all(words_of([part])[0] <= 20 for part in found)
    assert [len(split_sentences(part)) for part in found] == [4, 3]


def test_a_text_without_sentences_has_parts() -> None:
    """A thousand words without a full stop are cut at spaces, each part as long as allowed at most."""
    text = "word " * 1000
    found = parts(text, words_of, 100)
    assert " ".join(found).split() == text.split()
    assert max(words_of(found)) <= 100
