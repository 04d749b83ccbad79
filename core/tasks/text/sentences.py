"""Where sentences begin and end, in any script that marks it, as exact spans of the original text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CLOSERS = "\"'”’»›)]}」』）》】〉〕］"
OPENERS = "\"'“‘«‹([{「『（《【〈¿¡*•-–—"
_WIDE = "。！？｡．؟۔।॥"
_END = re.compile(rf"[.!?…{_WIDE}]+[{re.escape(CLOSERS)}]*")
_PARAGRAPH = re.compile(r"[^\n]+")
_WORD_BEFORE = re.compile(r"[^\s\"'“‘«(\[{「『（]*$")
_ENUMERATION = re.compile(r"\s*[\"'(\[]?(\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_LONGEST_WORD = 24
"""How far we look before a full stop for an abbreviation, and behind it for a word, in characters."""

_NEVER_LAST = frozenset(
    "mr mrs ms mx dr prof st mt rev fr hon gen maj col capt cmdr lt sgt sen rep gov pres messrs mme mlle "
    "e.g i.e cf viz vs fig figs eq eqs no nos nr vol vols pp p ch chap sec sect ed eds art tab app approx ca al".split()
)
"""Abbreviations that something always follows."""
_MAYBE_LAST = frozenset(
    "etc inc ltd co corp llc jr sr bros dept univ assn est tel ext ave blvd rd hwy a.m p.m ph.d m.d b.a m.a b.sc m.sc "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun".split()
)
"""Abbreviations that end a sentence where a word that often begins one follows."""
_STARTERS = frozenset(
    "a an the this that these those he she it they we you i his her its their our my your there here in on at by for "
    "from with as if when while after before since although though because but and so or yet nor however then thus "
    "therefore moreover meanwhile what who why how where which is are was were do does did can could will would no "
    "not yes some many most all each every both one two".split()
)
_ACRONYM = re.compile(r"([A-Za-z]\.)+[A-Za-z]")


@dataclass(frozen=True)
class Span:
    """Characters start … end - 1 of a text: text[start:end]."""

    start: int
    end: int


def split_sentences(text: str) -> tuple[Span, ...]:
    """Return the sentences of `text` in order, trimmed; a new line ends one unless the next goes on in lower case."""
    return tuple(span for start, end in _paragraphs(text) for span in _sentences(text, start, end))


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Join lines that were only wrapped: no end mark before the break, a lower-case letter right behind it."""
    lines = [(found.start(), found.end()) for found in _PARAGRAPH.finditer(text.replace("\r", "\n"))]
    start = end = -1
    for line_start, line_end in lines:
        if start >= 0 and _wrapped(text, end, line_start):
            end = line_end
            continue
        if start >= 0:
            yield start, end
        start, end = line_start, line_end
    if start >= 0:
        yield start, end


def _wrapped(text: str, end: int, start: int) -> bool:
    one_break = text[end:start] in {"\n", "\r", "\r\n"}
    before = text[max(end - 8, 0) : end].rstrip().rstrip(CLOSERS)
    return one_break and text[start].islower() and before[-1:] not in {*".!?…:", *_WIDE}


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    begin = start
    for found in _END.finditer(text, start, end):
        if _ends_here(text, begin, found, end):
            yield from _trimmed(text, begin, found.end())
            begin = found.end()
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span without the spaces around it, or nothing if it holds no letter, digit or other sign."""
    piece = text[start:end]
    if piece.strip():
        yield Span(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()))


def _ends_here(text: str, begin: int, found: re.Match[str], end: int) -> bool:
    """Tell whether a sentence that began at `begin` ends with these marks."""
    marks = found.group()
    after = text[found.end() : min(found.end() + _LONGEST_WORD, end)]
    if not after:
        return True
    if any(mark in _WIDE for mark in marks):
        return after[0] not in "，、；,;"
    if not after[0].isspace():
        return bool(_HANGUL.match(text[found.start() - 1 : found.start()]) and _HANGUL.match(after))
    following = after.lstrip().lstrip(OPENERS)
    if following[:1].islower():
        return False
    if marks.rstrip(CLOSERS) != ".":
        return True
    return not _is_abbreviation(text, begin, found.start(), following)


def _is_abbreviation(text: str, begin: int, stop: int, following: str) -> bool:
    """Tell whether the full stop at `stop` belongs to the word before it and ends no sentence."""
    before = text[max(begin, stop - _LONGEST_WORD) : stop]
    if stop - begin < _LONGEST_WORD and _ENUMERATION.fullmatch(text, begin, stop):
        return True
    found = _WORD_BEFORE.search(before)
    word = found.group() if found else ""
    lower = word.lower()
    if lower in _NEVER_LAST and not (lower in {"no", "art", "app"} and not following[:1].isdigit()):
        return True
    if lower in _MAYBE_LAST or _ACRONYM.fullmatch(word):
        return _first_word(following) not in _STARTERS
    return _is_initial(word, before)


def _is_initial(word: str, before: str) -> bool:
    """Tell "J." of a name from the "I." that ends "so did I."."""
    if len(word) != 1 or not word.isupper():
        return False
    earlier = before[: -len(word)].split()
    return word != "I" or not earlier or earlier[-1][:1].isupper()


def _first_word(text: str) -> str:
    found = re.match(r"[^\W\d_]+", text)
    return found.group().lower() if found else ""
