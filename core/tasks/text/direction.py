"""From which language into which: what a model offers, and how it wants to be told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput
from core.models.loading import LoadedModel
from core.tasks.text.languages import find_language, is_language, language_name, near_languages, same_language
from core.words import Sentence, say

LISTED = 40
"""Codes that a refusal lists, at most."""
_CODE = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")
"""eng_Latn, en_XX: what NLLB and mBART call a language."""
_TASK = re.compile(r"translation_(\w+)_to_(\w+)")
"""A key of task_specific_params."""
_NAMED = re.compile(r"(?:^|[-_])([a-z]{2,3})[-_]([a-z]{2,3})$")
"""The end of a model's name such as opus-mt-en-fr."""
_TOLD_IN_WORDS = frozenset({"t5", "mt5", "umt5", "longt5"})
"""Families that read "translate English to French: " before the text."""


@dataclass(frozen=True)
class Direction:
    """From which language into which, in the model's own codes (None = it has one only), and how it is told."""

    source: str | None = None
    target: str | None = None
    language: str | None = None
    """What the tokenizer is told as its src_lang."""
    forced_bos_token_id: int | None = None
    prefix: str = ""
    """What stands before each sentence."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """What config.json asks for in this direction: lengths, beams."""
    notes: tuple[Sentence, ...] = ()


@dataclass(frozen=True)
class _Asked:
    source: str
    target: str
    model: str
    """The name that refusals say."""

    def known(self, asked: str, codes: Sequence[str]) -> str:
        """Return the model's own code; raises InvalidInput with near ones where it has none."""
        found = find_language(asked, codes)
        if found is None:
            near = near_languages(asked, codes)
            key = "error.unknown_language_near" if near else "error.unknown_language"
            raise InvalidInput(key, asked=asked, model=self.model, near=", ".join(near), codes=_listed(codes))
        return found

    def missing(self, name: str, codes: Sequence[str]) -> InvalidInput:
        """Return the refusal of a model that must be told."""
        return InvalidInput(
            "error.languages_missing", model=self.model, name=name, count=len(codes), codes=_listed(codes)
        )


def find_direction(model: LoadedModel, source: str, target: str) -> Direction:
    """Return how `model` is told to translate from `source` into `target`, each in whichever words ("" = its own).

    Raises InvalidInput for a language that it does not know, and where it must be told and is not.
    """
    asked = _Asked(source.strip(), target.strip(), model.spec.name)
    if codes := codes_of(model.tokenizer):
        return _by_codes(asked, model, codes)
    if targets := list(getattr(model.tokenizer, "supported_language_codes", None) or ()):
        return _by_first_token(asked, model, [code.strip("><") for code in targets])
    tasks = getattr(model.model.config, "task_specific_params", None) or {}
    if offered := {match.groups(): tasks[name] for name in tasks if (match := _TASK.fullmatch(name))}:
        return _by_task(asked, offered)
    if model.model.config.model_type in _TOLD_IN_WORDS and asked.source and asked.target:
        return _in_words(asked)
    return _by_itself(asked, _own_pair(model))


def codes_of(tokenizer: Any) -> dict[str, int]:
    """Return the languages of a tokenizer that is told its source (M2M100, NLLB, mBART), and their tokens."""
    if not hasattr(type(tokenizer), "src_lang"):
        return {}
    if known := getattr(tokenizer, "lang_code_to_id", None):
        return dict(known)
    codes = [token for token in tokenizer.all_special_tokens if _CODE.fullmatch(token)]
    return dict(zip(codes, tokenizer.convert_tokens_to_ids(codes), strict=True))


def _by_codes(asked: _Asked, model: LoadedModel, codes: Mapping[str, int]) -> Direction:
    names = list(codes)
    own = model.model.generation_config
    always = {own.forced_bos_token_id, own.decoder_start_token_id}
    usual = next((code for code, id_ in codes.items() if id_ in always), "")  # a model that was tuned for one target
    if not asked.source or not (asked.target or usual):
        raise asked.missing("target_language" if asked.source else "source_language", names)
    source, target = asked.known(asked.source, names), asked.known(asked.target or usual, names)
    return Direction(source, target, language=source, forced_bos_token_id=codes[target])


def _by_first_token(asked: _Asked, model: LoadedModel, targets: Sequence[str]) -> Direction:
    """Tell a Marian model of several targets: the first token of each sentence."""
    source, _ = _own_pair(model)
    if not asked.target:
        raise asked.missing("target_language", targets)
    _check_pair(asked, (source, ""))
    target = asked.known(asked.target, targets)
    return Direction(source or None, target, prefix=f">>{target}<< ")


def _by_task(asked: _Asked, offered: Mapping[tuple[str, ...], Any]) -> Direction:
    """Tell a T5 what its config.json has a prefix for."""
    pairs = list(offered)
    told = ", ".join(f"{source} → {target}" for source, target in pairs)
    fitting = [pair for pair in pairs if _is_pair(asked, pair)]
    if len(fitting) != 1:
        key = "error.pair_not_offered" if asked.source or asked.target else "error.pair_missing"
        pair = f"{asked.source or '?'} → {asked.target or '?'}"
        raise InvalidInput(key, model=asked.model, asked=pair, offered=told)
    own = dict(offered[fitting[0]] or {})
    source, target = fitting[0]
    return Direction(source, target, prefix=str(own.get("prefix") or ""), own=own)


def _in_words(asked: _Asked) -> Direction:
    source, target = language_name(asked.source), language_name(asked.target)
    return Direction(asked.source, asked.target, prefix=f"translate {source} to {target}: ")


def _by_itself(asked: _Asked, pair: tuple[str, str]) -> Direction:
    """Take a model that has one direction: whatever it is, or the one that its tokenizer or its name tells."""
    _check_pair(asked, pair)
    untold = (asked.source and not pair[0]) or (asked.target and not pair[1])
    notes = (say("say.direction_untold"),) if untold else ()
    return Direction(pair[0] or None, pair[1] or None, notes=notes)


def _check_pair(asked: _Asked, pair: tuple[str, str]) -> None:
    if not _is_pair(asked, pair):
        told = " → ".join(one or "?" for one in pair)
        raise InvalidInput(
            "error.pair_not_offered",
            model=asked.model,
            asked=f"{asked.source or '?'} → {asked.target or '?'}",
            offered=told,
        )


def _is_pair(asked: _Asked, pair: Sequence[str]) -> bool:
    """Tell whether nothing that was asked for is another language than the pair's."""
    both = zip((asked.source, asked.target), pair, strict=True)
    return all(not wanted or not known or same_language(wanted, known) for wanted, known in both)


def _own_pair(model: LoadedModel) -> tuple[str, str]:
    """Return the languages that a model's tokenizer names, or its own name such as opus-mt-en-fr; "" = not told.

    Groups of languages, such as mul and ROMANCE, are not told either.
    """
    told = [getattr(model.tokenizer, name, None) or "" for name in ("source_lang", "target_lang")]
    source, target = (str(one) if is_language(str(one)) else "" for one in told)
    named = _NAMED.search(model.spec.name.rpartition("/")[2].lower())
    if source or target or not named or not all(map(is_language, named.groups())):
        return source, target
    return named[1], named[2]


def _listed(codes: Sequence[str]) -> str:
    shown = ", ".join(codes[:LISTED])
    return f"{shown}, …" if len(codes) > LISTED else shown
