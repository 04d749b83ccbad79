"""Sentences of many scripts, as exact spans."""

from __future__ import annotations

from itertools import pairwise

import pytest

from core.settings import LIMITS
from core.tasks.text.sentences import split_sentences


def pieces(text: str) -> list[str]:
    """Return the sentences as text."""
    return [text[span.start : span.end] for span in split_sentences(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith met Dr. J. K. Rowling.", "They left."],
        ["He paid 3.14 dollars, e.g. in cash!", "Prof. Li, i.e. the boss, did not."],
        ["The U.S. Government office closed.", "I live in the U.S.", "The rest do not."],
        ["It was 5 p.m. on Jan. 5.", "It was 5 p.m.", "The sun set."],
        ["“Really?” she said.", '"Stop!" he cried.', "‘Why?’", "Because."],
        ["So did I.", "Then we left."],
        ["No. 5 is alive.", "No.", "That is wrong."],
        ["See Fig. 3 and Smith et al. 2019.", "It holds (see p. 3).", "What?!", "Yes."],
        ["Wait… what?", "It works... maybe.", "Well...", "Perhaps."],
        ["1. First item.", "2. Second item."],
        ["Apple Inc. grew.", "So did Foo Ltd.", "The end."],
        ["Visit www.example.com/a?b=c.d now.", "Version 2.0.1 is out."],
        ["😀 Hi!", "👍 Great.", "🎉"],
        ["यह है।", "वह है।"],
        ["مرحبا كيف حالك؟", "أنا بخير."],
        ["안녕하세요.", "저는 학생입니다.", "3.14는 파이입니다!", "정말요?"],
    ],
)
def test_sentences_with_spaces_between(sentences: list[str]) -> None:
    """Joined by spaces, the sentences are found again: abbreviations, numbers, quotes and initials do not end one."""
    assert pieces(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["今天天氣很好。", "我們去公園吧！", "「你好嗎？」", "好的，謝謝。", "圓周率是3.14。"],
        ["他说：“我不去。”", "真的吗？！", "是。"],
        ["저는 갔다.", "그는 왔다.", "끝!"],
        ["今日は晴れ。", "明日は雨｡", "はい！"],
    ],
)
def test_sentences_without_spaces_between(sentences: list[str]) -> None:
    """Chinese, Japanese and Korean sentences need no space behind their end mark."""
    assert pieces("".join(sentences)) == sentences


def test_a_quotation_inside_a_chinese_sentence_does_not_end_it() -> None:
    """After a closing quotation mark and a comma the same sentence goes on."""
    assert pieces("他說「好！」，然後走了。再見。") == ["他說「好！」，然後走了。", "再見。"]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n", "\r"])
def test_a_new_line_ends_a_sentence(line_break: str) -> None:
    """A heading or list item needs no full stop."""
    assert pieces(f"A title without stop{line_break}Next line") == ["A title without stop", "Next line"]


def test_a_wrapped_line_goes_on() -> None:
    """A line that goes on in lower case was only wrapped; after an end mark or an empty line it was not."""
    assert pieces("This line\nwas wrapped.\nthis was not\n\nnor this") == [
        "This line\nwas wrapped.",
        "this was not",
        "nor this",
    ]


@pytest.mark.parametrize("text", ["", " ", " \n\t\r\n "])
def test_nothing_but_space_holds_no_sentence(text: str) -> None:
    """White space gives an empty tuple."""
    assert split_sentences(text) == ()


@pytest.mark.parametrize("text", ["no end mark", "...", "?", "Mr.", "🎉"])
def test_whatever_else_is_one_sentence(text: str) -> None:
    """A text without a boundary is one sentence, wholly kept."""
    assert pieces(f"  {text} ") == [text]


def test_spans_cover_everything_but_space() -> None:
    """Spans are in order, do not overlap, begin and end with no space, and leave only space between them."""
    text = "  Mr. A. left.  “Oh!”\n\n今天。好！ 안녕.  a\u00a0b. \u200f مرحبا؟ 3.14 e.g. X.\r\n* item\r\nlast "
    last = 0
    for span in split_sentences(text):
        assert not text[last : span.start].strip()
        piece = text[span.start : span.end]
        assert piece
        assert piece == piece.strip()
        last = span.end
    assert not text[last:].strip()


@pytest.mark.parametrize(
    "unit", ["a", ".", "a. ", "A. ", "\n", "a\n", "“", ". ", "\"' ", "。", ". -", "1. ", "a.b.", "Mr. ", "가.", "x\r\n"]
)
def test_the_longest_texts_of_one_kind(unit: str) -> None:
    """The longest accepted text of nothing but one pattern is split completely, in spans that never overlap."""
    text = unit * (LIMITS.context_characters // len(unit))
    spans = split_sentences(text)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    kept = "".join(text[span.start : span.end] for span in spans)
    assert "".join(kept.split()) == "".join(text.split())
