"""What of a text is translated, and what stays: line breaks, blank lines, indentation, list markers, spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from core.tasks.text.sentences import Span, split_sentences

_MARKER = re.compile(r"(?:(?:[-*•‣◦·–—+>#|]+|\[[ xX]?\]|\d{1,3}[.)]|[A-Za-z]\))[ \t]+)+")
"""What a line of a list, a quotation or a heading begins with."""
_SPACE = re.compile(r"\s")
_NAME = re.compile(r"\w+")
_RUN = re.compile(r"[ \t]+")
COLUMN_SPACES = 3
"""So many spaces inside a line stand between columns; fewer were typed by mistake, and the sentence goes on."""
_LINE = re.compile(r"[^\s][^\r\n]*")
_BREAK = re.compile(r"(?:(?<![ \t])[ \t]+)?(?:\r\n|\r|\n)[ \t]*")
"""A run of spaces is looked at from its beginning alone, else a long one would be read again from each of them."""
_WIDE_END = re.compile(r"[。！？｡．，、；：][」』”’）》】\"')]*$")
"""The end of a sentence in a script that puts no space behind it."""


def translatable(text: str) -> list[Span]:
    """Return the sentences that have words in them, without the marker that their line begins with."""
    return list(_with_words(text))


def _with_words(text: str) -> Iterator[Span]:
    for sentence in split_sentences(text):
        for span in _cells(text, _without_addresses(text, sentence)):
            marker = _MARKER.match(text, span.start, span.end) if _begins_its_line(text, span.start) else None
            yield Span(marker.end() if marker else span.start, span.end)


def _cells(text: str, spans: Iterator[Span]) -> Iterator[Span]:
    """Cut spans where columns of a line are set apart, and leave out cells without a letter."""
    for span in spans:
        start = span.start
        for run in _RUN.finditer(text, span.start, span.end):
            apart = "\t" in run.group() or len(run.group()) >= COLUMN_SPACES
            if apart and run.start() > start and text[run.start() - 1] not in "\r\n" and run.end() < span.end:
                yield from _with_a_letter(text, Span(start, run.start()))
                start = run.end()
        yield from _with_a_letter(text, Span(start, span.end))


def _with_a_letter(text: str, span: Span) -> Iterator[Span]:
    if any(map(str.isalpha, text[span.start : span.end])):
        yield span


def _begins_its_line(text: str, start: int) -> bool:
    """Tell whether only spaces stand before `start`; no more of the line is looked at, which may be the whole text."""
    while start and text[start - 1] != "\n" and text[start - 1].isspace():
        start -= 1
    return not start or text[start - 1] == "\n"


def _without_addresses(text: str, span: Span) -> Iterator[Span]:
    """Yield the lines of a sentence that go together, without those that are an address or have no letter."""
    start = end = -1
    for line in _LINE.finditer(text, span.start, span.end):
        written = line.group().rstrip()
        if _is_address(written) or not any(map(str.isalpha, written)):
            if start >= 0:
                yield Span(start, end)
            start = -1
        else:
            start, end = line.start() if start < 0 else start, line.start() + len(written)
    if start >= 0:
        yield Span(start, end)


def _is_address(line: str) -> bool:
    r"""Tell whether a line is `\S+://\S+` or `\S+@\S+\.\w+`, without trying every pair of its signs as those would."""
    if _SPACE.search(line):
        return False
    scheme, at, dot = line.find("://", 1), line.find("@", 1), line.rfind(".")
    is_link = 0 < scheme < len(line) - len("://")
    return is_link or (0 < at < dot - 1 and _NAME.fullmatch(line, dot + 1) is not None)


def in_one_line(text: str, span: Span) -> str:
    """Return a sentence without the line breaks that it was only wrapped with."""
    return " ".join(text[span.start : span.end].split())


def laid_out(text: str, spans: Sequence[Span], translations: Sequence[str]) -> list[str]:
    """Return the translated text in pieces: what stands before a sentence and the sentence, by turns, and the rest.

    Everything between the sentences stays as it is; only a single space comes or goes with the script of the
    translation, and lines that were wrapped inside a sentence are wrapped again at about the same place.
    """
    made: list[str] = []
    read = 0
    for span, translation in zip(spans, translations, strict=True):
        before = text[read : span.start]
        if made and before in {"", " "}:
            before = "" if _WIDE_END.search(made[-1]) else " "
        made += [before, wrapped_as(text[span.start : span.end], translation)]
        read = span.end
    return [*made, text[read:]]


def wrapped_as(piece: str, translation: str) -> str:
    """Wrap a translation where `piece` is wrapped, in proportion: as many lines, and with the same indentation."""
    made, read, rest = "", 0, translation
    for found in _BREAK.finditer(piece):
        share = (found.start() - read) / (len(piece) - read)
        wanted = round(share * len(rest))
        spaces = [space.start() for space in re.finditer(" ", rest)]
        place = min(spaces, key=lambda space: abs(space - wanted), default=wanted)
        made += rest[:place] + found.group()
        rest, read = rest[place:].lstrip(), found.end()
    return made + rest
