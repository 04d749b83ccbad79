"""What the starters were taught: English. What they say of other scripts is no more than a guess."""

from __future__ import annotations

import unicodedata

from core.catalogue import Source
from core.models.loading import LoadedModel
from core.words import Sentence, say

LOOKED_AT = 2_000
"""Characters of a text that tell its script."""


def script_notes(model: LoadedModel, *texts: str) -> tuple[Sentence, ...]:
    """Say of a starter that it was taught English, where most letters of the texts are of another script than Latin."""
    letters = [one for text in texts for one in text[:LOOKED_AT] if one.isalpha()]
    latin = sum(unicodedata.name(one, "").startswith("LATIN") for one in letters)
    if model.spec.source is not Source.STARTER or 2 * latin >= len(letters):
        return ()
    return (say("say.taught_english", name=model.spec.name),)
