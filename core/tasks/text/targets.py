"""The words that a gap may be filled with, as tokens of a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from core.errors import InvalidInput
from core.models.loading import LoadedModel
from core.tasks.text.encoder import tokenize
from core.tasks.text.masks import tokens_of_words
from core.words import Sentence, say


def target_tokens(model: LoadedModel, words: Sequence[str], text: str) -> tuple[tuple[int, ...], tuple[Sentence, ...]]:
    """Return the tokens that `words` stand for in the gaps of `text`, each once, and what must be said of some words.

    Raises InvalidInput if the model knows none of them.
    """
    known = tokens_of_words(words, text, model.tokenizer, partial(tokenize, model))
    if words and not known:
        raise InvalidInput("error.no_target_known", words=", ".join(words))
    names = {word: str(model.tokenizer.decode([token])).strip() for word, token in known.items()}
    cut = [f"{word} → {name}" for word, name in names.items() if name.casefold() != word.casefold()]
    unknown = [word for word in words if word not in known]
    notes = [say("say.target_pieces", pieces=", ".join(cut))] if cut else []
    notes += [say("say.targets_left_out", words=", ".join(unknown))] if unknown else []
    return tuple(dict.fromkeys(known.values())), tuple(notes)
