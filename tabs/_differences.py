"""Two texts, with what one has and the other lacks marked."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from html import escape

MOST_WORDS = 300
"""Of each text; longer ones are compared as far as that, for every pair of words is looked at."""
_WORD = re.compile(r"\w+|[^\w\s]|\s+")


def differences(wanted: str, written: str) -> str:
    """Draw `written` with what it has too much as <ins>, and what it lacks of `wanted` as <del>; escaped."""
    own, other = _words(wanted), _words(written)
    drawn = []
    for kind, start, end, other_start, other_end in SequenceMatcher(None, own, other, autojunk=False).get_opcodes():
        kept = escape("".join(other[other_start:other_end]))
        if kind == "equal":
            drawn.append(kept)
            continue
        drawn.append(_marked("del", escape("".join(own[start:end]))))
        drawn.append(_marked("ins", kept))
    rest = "…" if len(_WORD.findall(written)) > MOST_WORDS else ""
    return "".join(drawn) + rest


def _words(text: str) -> list[str]:
    return _WORD.findall(text)[:MOST_WORDS]


def _marked(tag: str, text: str) -> str:
    return f"<{tag}>{text}</{tag}>" if text else ""
