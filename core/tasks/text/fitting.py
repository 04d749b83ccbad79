"""A text in pieces that a model can read: cut between sentences, a long sentence at its clauses or spaces."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from core.tasks.text.sentences import Span, split_sentences

Lengths = Callable[[Sequence[str]], Sequence[int]]
"""Pieces of text → how many tokens each has, special ones included."""

_CLAUSE = re.compile(r"[,;:，、；：]\s*|\s[-–—]\s|\s+")
"""Where a sentence may be cut."""


def fitting(text: str, spans: Sequence[Span], lengths: Lengths, limit: int) -> list[Span]:
    """Return the spans, each that is longer than `limit` tokens cut into halves until they fit."""
    found: list[Span] = []
    pieces = [text[span.start : span.end] for span in spans]
    for span, length in zip(spans, lengths(pieces) if pieces else (), strict=True):
        if length <= limit or len(text[span.start : span.end]) == 1:
            found.append(span)
        else:
            found += fitting(text, halves(text, span), lengths, limit)
    return found


def halves(text: str, span: Span) -> list[Span]:
    """Cut a span near its middle: behind a comma of whatever script, else at a space, else anywhere."""
    middle, quarter = (span.start + span.end) / 2, (span.end - span.start) / 4
    cuts = [found for found in _CLAUSE.finditer(text, span.start, span.end) if span.start < found.end() < span.end]
    near = [found for found in cuts if abs(found.end() - middle) <= quarter]
    marked = [found for found in near if found.group().strip()]
    best = min(marked or near or cuts, key=lambda found: abs(found.end() - middle), default=None)
    cut = best.end() if best else int(middle)
    return [Span(span.start, span.start + len(text[span.start : cut].rstrip())), Span(cut, span.end)]


def parts(text: str, lengths: Lengths, limit: int) -> list[str]:
    """Return the text in as few parts as fit into `limit` tokens each, about equally long, cut between sentences."""
    spans = fitting(text, split_sentences(text), lengths, limit)
    empty = lengths([""])[0]
    tokens = [length - empty + 1 for length in lengths([text[span.start : span.end] for span in spans])]
    room = max(limit - empty, 1)
    share = sum(tokens) / math.ceil(sum(tokens) / room)
    groups: list[list[Span]] = [[]]
    filled = 0
    for span, length in zip(spans, tokens, strict=True):
        if groups[-1] and (filled + length > room or filled >= share):
            groups.append([])
            filled = 0
        groups[-1].append(span)
        filled += length
    return [text[group[0].start : group[-1].end] for group in groups if group]
