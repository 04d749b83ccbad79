"""The words that a gap may be filled with, as tokens of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidInput
from core.models.loading import LoadedModel
from core.tasks.text.encoder import tokenize
from core.words import Sentence, say


def target_tokens(model: LoadedModel, words: Sequence[str], text: str) -> tuple[tuple[int, ...], tuple[Sentence, ...]]:
    """Return the tokens that `words` stand for in the gaps of `text`, each once, and what must be said of some words.

    Raises InvalidInput if the model knows none of them.
    """
    spaced = re.search(rf"\s{re.escape(model.tokenizer.mask_token)}", text) is not None
    pieces = {word: _piece(model, word, spaced=spaced) for word in words}
    known = {word: piece for word, piece in pieces.items() if piece}
    if words and not known:
        raise InvalidInput("error.no_target_known", words=", ".join(words))
    cut = [f"{word} → {_name(model, piece.token)}" for word, piece in known.items() if not piece.whole]
    unknown = [word for word in words if word not in known]
    notes = [say("say.target_pieces", pieces=", ".join(cut))] if cut else []
    notes += [say("say.targets_left_out", words=", ".join(unknown))] if unknown else []
    return tuple(dict.fromkeys(piece.token for piece in known.values())), tuple(notes)


@dataclass(frozen=True)
class _Piece:
    """A token, and whether it is the whole of its word."""

    token: int
    whole: bool


def _piece(model: LoadedModel, word: str, *, spaced: bool) -> _Piece | None:
    """Return the token that a word is where the gap stands, else the entry of that very spelling, else its beginning.

    Where a token holds the space before a word (RoBERTa), the word after a space is another token than at the
    beginning; elsewhere this is the transformers pipeline's choice.
    """
    tokenizer = model.tokenizer
    ids = tokenize(model, [f" {word}" if spaced else word], add_special_tokens=False)["input_ids"][0]
    spelled = tokenizer.convert_tokens_to_ids(word)
    if len(ids) > 1 and spelled not in {None, tokenizer.unk_token_id}:
        return _Piece(spelled, whole=True)
    heard = [one for one in ids if one != tokenizer.unk_token_id and tokenizer.decode([one]).strip()]
    return _Piece(heard[0], whole=len(ids) == 1) if heard else None


def _name(model: LoadedModel, token: int) -> str:
    return str(model.tokenizer.decode([token])).strip()
