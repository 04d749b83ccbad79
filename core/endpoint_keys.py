"""Which key opens which server: read from the environment whenever one is called, kept nowhere, shown nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from core.errors import InvalidInput

VARIABLE = "ATELIER_ENDPOINT_KEYS"
"""host=key pairs, separated by commas; a host alone means https on its usual port."""

_HOST = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)
_KEY = re.compile(r"[!-+\--~]+")  # what a header may hold, and no comma


def endpoint_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return host (or host:port) → key; raises InvalidInput, which names the place of a bad pair and nothing of it."""
    keys = {}
    for place, (host, key) in enumerate(_pairs(environment.get(VARIABLE, "")), start=1):
        if not _HOST.fullmatch(host) or not _KEY.fullmatch(key):
            raise InvalidInput("error.endpoint_keys", place=place)
        keys[host.removesuffix(":443")] = key
    return keys


def key_values(environment: Mapping[str, str]) -> set[str]:
    """Return every key, those of bad pairs too: what must not be written down."""
    return {key for _, key in _pairs(environment.get(VARIABLE, "")) if key}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, map(str.strip, text.split(","))):
        host, _, key = pair.partition("=")
        yield host.strip().lower(), key.strip()
