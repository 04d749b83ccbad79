"""Made-up reviews of any length, the same for everybody who gives the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

SEED = 13
SHORTEST, LONGEST = 3, 200
"""Words in a row."""

PARTS = (
    "I loved every minute of it",
    "the plot is thin and the jokes fall flat",
    "not bad at all though the ending drags",
    "a warm and funny film about growing up",
    "the actors do what they can with a tired script",
    "I would gladly watch it again tomorrow",
    "two hours that I will never get back",
    "the camera finds beauty in the smallest rooms",
    "nobody in this story behaves like a human being",
    "the music carries scenes that words could not",
    "it promises much and delivers very little",
    "a quiet triumph from the first shot to the last",
    "the dialogue sounds as if nobody had ever read it aloud",
    "children will laugh and so will their parents",
    "an ugly noisy mess with one good chase in it",
    "the second half forgives the slow beginning",
)

PRAISE = (PARTS[0], *PARTS[3:14:2])
BLAME = (PARTS[1], *PARTS[4:15:2])
EITHER = (PARTS[2], PARTS[15])
DOUBT = 0.1
"""Part of a judged text that speaks against its verdict; in short texts it may be all there is, as in real ones."""
SHORTEST_JUDGED, LONGEST_JUDGED = 5, 120
"""Words, as reviews of films and products have them."""


def mixed_texts(count: int, seed: int = SEED) -> list[str]:
    """Return `count` texts of 3 to 200 words, their lengths spread evenly over the orders of magnitude."""
    chance = random.Random(seed)  # noqa: S311 made-up texts, not secrets
    low, high = math.log(SHORTEST), math.log(LONGEST)
    return [_text(chance, round(math.exp(chance.uniform(low, high)))) for _ in range(count)]


def short_texts(count: int, seed: int = SEED) -> list[str]:
    """Return `count` texts of one sentence each, 5 to 20 words."""
    chance = random.Random(seed)  # noqa: S311 the same
    return [_text(chance, chance.randint(5, 20)) for _ in range(count)]


def judged_texts(count: int, seed: int = SEED) -> list[tuple[str, str]]:
    """Return `count` texts of 5 to 120 words, half of them "positive" and half "negative", each with its verdict."""
    chance = random.Random(seed)  # noqa: S311 the same
    low, high = math.log(SHORTEST_JUDGED), math.log(LONGEST_JUDGED)
    found = []
    for number in range(count):
        verdict, speaks, against = (("positive", PRAISE, BLAME), ("negative", BLAME, PRAISE))[number % 2]
        parts = (*speaks * round((1 - DOUBT) / DOUBT), *against, *EITHER)
        found.append((_text(chance, round(math.exp(chance.uniform(low, high))), parts), verdict))
    return found


def _text(chance: random.Random, words: int, parts: Sequence[str] = PARTS) -> str:
    said: list[str] = []
    while len(said) < words:
        said += chance.choice(parts).split()
    return " ".join(said[:words]).capitalize() + "."
