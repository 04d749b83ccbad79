"""METEOR by NLTK: words match as they are, by their stems and, where WordNet is installed, as synonyms."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.evaluation.columns import references_of, texts
from core.evaluation.metric import Outcome, Recipe, Rows
from core.evaluation.metrics.translations import nothing_common
from core.words import say

_LOADING = threading.Lock()
"""NLTK's corpora load themselves at their first use, and two threads at once break that."""


@dataclass(frozen=True)
class MeteorOptions:
    """Keywords of evaluate's meteor."""

    alpha: float = 0.9
    beta: float = 3
    gamma: float = 0.5


class _NoSynonyms:
    """Stands for a WordNet that knows no word."""

    def synsets(self, *_: Any, **__: Any) -> list[Any]:
        """Return what WordNet would know of a word: nothing."""
        return []


def _meteor(rows: Rows, options: MeteorOptions) -> Outcome:
    from nltk.tokenize import word_tokenize
    from nltk.translate.meteor_score import meteor_score

    wordnet, sentences = _wordnet(), _has("tokenizers/punkt_tab")
    predictions, references = texts(rows.predictions, "predictions"), references_of(rows.references)
    settings = {"alpha": options.alpha, "beta": options.beta, "gamma": options.gamma}
    split = partial(word_tokenize, preserve_line=not sentences)
    scores = [
        meteor_score(list(map(split, several)), split(one), wordnet=wordnet, **settings)
        for several, one in zip(references, predictions, strict=True)
    ]
    value = float(sum(scores) / len(scores))
    notes = [] if value else nothing_common("meteor", predictions)
    synonyms = not isinstance(wordnet, _NoSynonyms)
    if not synonyms:
        notes.append(say("reason.metric_no_wordnet"))
    used = {"synonyms": "WordNet" if synonyms else "none", "sentences": "punkt_tab" if sentences else "one a text"}
    return Outcome({"meteor": value}, notes, used=used)


def _has(resource: str) -> bool:
    import nltk

    try:
        nltk.data.find(resource)
    except LookupError:
        return False
    return True


def _wordnet() -> Any:
    if not (_has("corpora/wordnet") or _has("corpora/wordnet.zip")):
        return _NoSynonyms()
    from nltk.corpus import wordnet

    with _LOADING:
        wordnet.ensure_loaded()
    return wordnet


RECIPES = (Recipe("meteor", "nltk", "nltk.translate.meteor_score.meteor_score", _meteor, MeteorOptions),)
"""The metrics of this file."""
