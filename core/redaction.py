"""Takes secrets out of whatever is about to be written: tokens, passwords and keys never reach a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from core.endpoint_keys import key_values

REMOVED = "[removed]"
SECRET_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "ATELIER_PASSWORD")
SHORTEST_SECRET = 4
"""Shorter values are left alone in running text: taking every "a" out of a log helps nobody."""

# A field of a tokenizer (pad_token, eos_token) is no credential.
_HARMLESS_TOKENS = frozenset(
    {
        "additional",
        "audio",
        "bos",
        "class",
        "cls",
        "decoder",
        "end",
        "eos",
        "image",
        "mask",
        "next",
        "pad",
        "sep",
        "special",
        "start",
        "stop",
        "unk",
        "video",
    }
)
_SECRET_WORDS = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "secret",
        "secrets",
        "apikey",
        "authorization",
        "credential",
        "credentials",
        "cookie",
    }
)
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key")})
_TOKEN_OWNERS = frozenset({"access", "api", "auth", "bearer", "hf", "hub", "refresh"})
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_SHAPES = re.compile(
    r"hf_(?:oauth|jwt)_[\w.\-]+"  # signed in with Hugging Face
    r"|\bhf_(?=[A-Za-z]*[0-9A-Z])[A-Za-z0-9]{6,}|\bhf_[A-Za-z0-9]{16,}|\bapi_org_[A-Za-z0-9]{6,}"  # access tokens
    r"|\bsk-[\w\-]{12,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}"  # OpenAI-compatible servers, GitHub
    r"|\beyJ[\w\-]{8,2000}\.[\w\-]+\.[\w\-]*"  # JSON web tokens
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # https://user:password@host
    r"|(?i:(?<=bearer )|(?<=[?&]token=))[\w.~+/=\-]{6,}"
    r"|(?i:(?<=password=)|(?<=api_key=)|(?<=token=))(?:'[^']+'|\"[^\"]+\"|[^\s,;&)'\"]+)"
)


@dataclass(frozen=True)
class Redactor:
    """Removes what looks like a secret, and every literal in `known`."""

    known: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Any, environment: Mapping[str, str]) -> Redactor:
        """Know the secrets that `value` (JSON-like) holds under telling names, and those of the environment."""
        found = {
            *_secrets_in(value),
            *(environment.get(name, "") for name in SECRET_VARIABLES),
            *key_values(environment),
        }
        worth = {secret for secret in found if len(secret) >= SHORTEST_SECRET}
        return cls(tuple(sorted(worth, key=len, reverse=True)))

    def text(self, text: str) -> str:
        """Return `text` with every secret replaced by REMOVED."""
        for secret in self.known:
            text = text.replace(secret, REMOVED)
        return _SHAPES.sub(REMOVED, text)

    def value(self, value: Any) -> Any:
        """Return a JSON-like value with every secret replaced, by name and by shape, at any depth."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._field(str(name), held) for name, held in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(held) for held in value]
        return value

    def _field(self, name: str, held: Any) -> Any:
        return REMOVED if held not in (None, "") and names_a_secret(name, held) else self.value(held)


def names_a_secret(name: str, held: Any) -> bool:
    """Tell whether a field of this name holds a credential: `hf_token` does, `pad_token` or `max_new_tokens` not."""
    words = tuple(word.lower() for word in _WORDS.findall(name))
    if not words or isinstance(held, bool):
        return False
    if _SECRET_WORDS & set(words) or _SECRET_PAIRS & set(pairwise(words)):
        return True
    if isinstance(held, int | float):
        return False
    before = set(words[:-1])
    return (words[-1] == "token" and not before & _HARMLESS_TOKENS) or (
        words[-1] == "tokens" and bool(before & _TOKEN_OWNERS)
    )


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, held in value.items():
            yield from _texts_in(held) if names_a_secret(str(name), held) else _secrets_in(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _secrets_in(held)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for held in value:
            yield from _texts_in(held)
    elif value is not None:
        yield str(value)
