"""What people might type for an emoji: its name in several phrases, its keywords, its group."""

from __future__ import annotations

import random
from collections.abc import Sequence

from recipes._emoji_data import Emoji

PROMPTS = 16
"""For each emoji; the first is its name."""
NAMED = (
    "{name}",
    "a {name}",
    "the {name}",
    "{name} emoji",
    "emoji of a {name}",
    "a picture of a {name}",
    "picture of {name}",
    "a drawing of a {name}",
    "{name}, {keyword}",
    "{name} {keyword}",
    "{keyword} {name}",
    "{name}, {group}",
)
KEYED = (
    "{keyword} {other}",
    "{keyword}, {other}",
    "a {keyword} {other}",
    "{keyword}, {other}, {subgroup}",
    "{keyword}",
)
NAMED_SHARE = 0.65
"""Of the prompts behind the first; the others have keywords only, and leave more open which emoji is meant."""


def prompts(emoji: Emoji, seed: int, count: int = PROMPTS) -> list[list[str]]:
    """Return `count` prompts for each emoji, its name first; some may be the same."""
    chance = random.Random(seed)  # noqa: S311
    return [[name, *(_prompt(emoji, row, chance) for _ in range(count - 1))] for row, name in enumerate(emoji.names)]


def _prompt(emoji: Emoji, row: int, chance: random.Random) -> str:
    name, keywords = emoji.names[row], emoji.keywords[row] or (emoji.names[row],)
    forms = NAMED if chance.random() < NAMED_SHARE else KEYED
    return chance.choice(forms).format(
        name=name,
        keyword=chance.choice(keywords),
        other=chance.choice(keywords),
        group=emoji.groups[row].lower() or "symbol",
        subgroup=emoji.subgroups[row].replace("-", " ").lower() or "symbol",
    )


def phrases(words: Sequence[str], count: int, seed: int) -> list[str]:
    """Return made-up phrases of two or three words that are no emoji, from which wording in general is learned."""
    chance = random.Random(seed)  # noqa: S311
    forms = ("{0} {1}", "a {0} {1}", "a {0} with a {1}", "{0} {1} {2}", "a picture of a {0} {1}", "a {0} and a {1}")
    return [chance.choice(forms).format(*chance.sample(list(words), 3)) for _ in range(count)]
