"""What is hidden of a text, drawn once by a seed, so that every evaluation asks for the same words."""

from __future__ import annotations

import random
from typing import Any

from core.training.data.prepared import IGNORED

HIDDEN, REPLACED = 0.8, 0.9
"""Of the chosen tokens eight in ten are hidden, one is another token, one stays: as BERT was taught (1810.04805)."""


def mask(sequence: dict[str, Any], tokenizer: Any, probability: float, seed: str) -> dict[str, Any]:
    """Return the sequence with some tokens hidden and `labels` that tell them; one at least, and no special one."""
    chance = random.Random(seed)  # noqa: S311 not a secret
    ids = list(sequence["input_ids"])
    own = [place for place, special in enumerate(sequence["special_tokens_mask"]) if not special]
    chosen = [place for place in own if chance.random() < probability] or [chance.choice(own)]
    labels = [IGNORED] * len(ids)
    for place in chosen:
        labels[place] = ids[place]
        draw = chance.random()
        if draw < HIDDEN:
            ids[place] = tokenizer.mask_token_id
        elif draw < REPLACED:
            ids[place] = chance.randrange(len(tokenizer))
    return {"input_ids": ids, "labels": labels}
