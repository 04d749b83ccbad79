"""Gaps in a text: the signs that people write for them, and the part of a long text that is read with all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

GENERIC = re.compile(r"\[mask\]|<mask>", re.IGNORECASE)
"""What people write for a gap, whichever model will fill it."""
LONGEST_WORD = 40
"""Characters of a piece of a word that is left out; of more, something is read all the same."""


def with_mask_token(text: str, mask_token: str) -> str:
    """Write every gap of a text as a model's own mask token."""
    return GENERIC.sub(lambda _: mask_token, text)


def part_with_masks(text: str, mask_token: str, encode: Callable[..., Any], longest: int) -> str:
    """Return the text or, where it is too long, its part with all masks; "" where they stand too far apart.

    `encode` is a fast tokenizer; a part has at most `longest` tokens, special ones included. It is the beginning if all
    masks are there, else there is as much before them as behind.
    """
    found = encode([text], add_special_tokens=False, return_offsets_mapping=True)
    spans, room = found["offset_mapping"][0], longest - len(encode([""])["input_ids"][0])
    if len(spans) <= room:
        return text
    masks = [place for place, (start, end) in enumerate(spans) if text[start:end].strip() == mask_token]
    first, last = masks[0], masks[-1]
    while room > last - first:
        middle = first - (room - (last - first + 1)) // 2
        begin = 0 if last < room else max(0, min(middle, len(spans) - room))
        part = _whole_words(text, spans[begin][0], spans[begin + room - 1][1], mask_token)
        excess = len(encode([part])["input_ids"][0]) - longest
        if excess <= 0:
            return part
        room -= excess  # cut out, the edges are read as more tokens than within their words
    return ""


def tokens_of_words(words: Sequence[str], text: str, tokenizer: Any, encode: Callable[..., Any]) -> dict[str, int]:
    """Return the token that each word is in the gaps of `text`, whose gaps are the model's own mask tokens.

    Where a token holds the space before a word (RoBERTa), the word after a space is another token than at the
    beginning; elsewhere this is the transformers pipeline's choice: the entry of that very spelling, else the word's
    beginning. A word of which the vocabulary knows nothing is left out.
    """
    space = " " if after_space(text, tokenizer.mask_token) else ""
    found: dict[str, int] = {}
    for word in words:
        ids = encode([space + word], add_special_tokens=False)["input_ids"][0]
        spelled = tokenizer.convert_tokens_to_ids(word)
        if len(ids) > 1 and spelled not in {None, tokenizer.unk_token_id}:
            ids = [spelled]
        heard = [one for one in ids if one != tokenizer.unk_token_id and tokenizer.decode([one]).strip()]
        found |= {word: heard[0]} if heard else {}
    return found


def after_space(text: str, mask_token: str) -> bool:
    """Tell whether a gap of `text` stands behind a space."""
    return re.search(rf"\s{re.escape(mask_token)}", text) is not None


def _whole_words(text: str, start: int, end: int, mask_token: str) -> str:
    """Return text[start:end] without the pieces of words at its edges; a mask always stays."""
    part = text[start:end]
    if text[:start][-1:].strip() and part[:1].strip() and _may_go(before := part.split(None, 1)[0], mask_token):
        part = part[len(before) :]
    if text[end:][:1].strip() and part[-1:].strip() and _may_go(after := part.rsplit(None, 1)[-1], mask_token):
        part = part[: -len(after)]
    return part.strip()


def _may_go(piece: str, mask_token: str) -> bool:
    return len(piece) <= LONGEST_WORD and mask_token not in piece
