"""Words with a tag each: as lists, as text between blanks, or as spans of characters over a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.training.data.examples.cells import BadCellError, is_blank, parsed, shortened, text_in
from core.training.data.prepared import Row
from core.words import say

OUTSIDE = "O"
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+|[^\w\s]")
"""Words and signs one by one; what is written without blanks between words, character by character."""
_BEGINS, _GOES_ON = "BSU", "IEL"
"""The letters of BIO, BIOES and BILOU."""


def read_tagged(cells: Mapping[str, Any]) -> Row:
    """Read tokens and tags of the same number, whose BIO prefixes follow each other as they must."""
    tokens = _listed(cells["tokens"], "tokens")
    tags = _listed(cells["tags"], "tags")
    if len(tokens) != len(tags):
        raise BadCellError("tags", say("say.data_tags_count", words=len(tokens), tags=len(tags)))
    check_bio(tokens, tags)
    return {"tokens": tokens, "tags": tags}


def read_spans(cells: Mapping[str, Any]) -> Row:
    """Read a text and its entities [{start, end, label}]; they must begin and end with words, and not overlap."""
    text = text_in(cells["text"], "text")
    words = list(_WORDS.finditer(text))
    tags = [OUTSIDE] * len(words)
    for start, end, label in _spans(cells["entities"], text):
        inside = [place for place, word in enumerate(words) if start <= word.start() and word.end() <= end]
        whole = inside and words[inside[0]].start() == start and words[inside[-1]].end() == end
        if not whole:
            quoted = shortened(text[start:end])
            raise BadCellError("entities", say("say.data_span_cuts_word", start=start, end=end, text=quoted))
        if any(tags[place] != OUTSIDE for place in inside):
            raise BadCellError("entities", say("say.data_spans_overlap", start=start, end=end))
        for place in inside:
            tags[place] = f"{'B' if place == inside[0] else 'I'}-{label}"
    return {"tokens": [word.group() for word in words], "tags": tags}


def _listed(cell: Any, column: str) -> list[str]:
    """Return the words of a list, of its JSON, or of a text between blanks."""
    found = parsed(cell)
    if isinstance(found, str):
        found = found.split()
    if not isinstance(found, list) or not found:
        raise BadCellError(column, say("say.data_blank") if is_blank(found) else say("say.data_not_words"))
    for place, one in enumerate(found, start=1):
        if isinstance(one, list | dict) or is_blank(one):
            raise BadCellError(column, say("say.data_word_blank", place=place))
    return [str(one) for one in found]


def check_bio(tokens: Sequence[str], tags: Sequence[str]) -> None:
    """Refuse a tag that goes on with what did not begin; tags without such prefixes are classes of words."""
    prefixed = [bool(re.fullmatch(r"[BIESLU]-.+", tag)) for tag in tags]
    before = OUTSIDE
    for place, tag in enumerate(tags):
        if prefixed[place] and tag[0] in _GOES_ON and not _continues(before, tag):
            word, number = shortened(tokens[place]), place + 1
            raise BadCellError("tags", say("say.data_bio", tag=tag, word=word, place=number, before=before))
        if any(prefixed) and not prefixed[place] and tag != OUTSIDE:
            raise BadCellError("tags", say("say.data_tag_strange", tag=shortened(tag), place=place + 1))
        before = tag


def _continues(before: str, tag: str) -> bool:
    return before[:1] in "BI" and before[2:] == tag[2:] and before != OUTSIDE


def _spans(cell: Any, text: str) -> list[tuple[int, int, str]]:
    found = parsed(cell)
    if is_blank(found):
        return []
    if not isinstance(found, list):
        raise BadCellError("entities", say("say.data_not_spans"))
    return sorted(_span(one, text) for one in found)


def _span(one: Any, text: str) -> tuple[int, int, str]:
    """Read {start, end, label} or [start, end, label]."""
    if isinstance(one, Mapping):
        label = next((one[name] for name in ("label", "entity", "entity_group", "type", "tag") if one.get(name)), None)
        one = [one.get("start"), one.get("end"), label]
    if not isinstance(one, list | tuple) or len(one) != 3 or is_blank(one[2]):  # noqa: PLR2004 start, end, label
        raise BadCellError("entities", say("say.data_not_spans"))
    start, end, label = one
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        raise BadCellError("entities", say("say.data_span_outside", start=start, end=end, length=len(text)))
    return start, end, re.sub(r"^[BIESLU]-", "", str(label))


def tags_in_order(tags: set[str]) -> tuple[str, ...]:
    """Return tags in the order of their ids: O first, then each kind with its beginning before its inside."""
    order = {letter: place for place, letter in enumerate(f"{_BEGINS}{_GOES_ON}")}
    return tuple(
        sorted(tags, key=lambda tag: (tag != OUTSIDE, tag[2:] if tag[1:2] == "-" else tag, order.get(tag[0], 0)))
    )
