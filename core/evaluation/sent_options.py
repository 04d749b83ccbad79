"""A metric's options as a request sends them: numbers of a size, nothing that downloads, no patterns that never end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.errors import InvalidInput

LARGEST = 1_000
"""Orders, bins and beams beyond it take all memory, or minutes."""
TOKENIZERS = ("13a", "char", "intl", "none", "zh")
"""sacreBLEU's that need neither a download nor a further package."""
NOT_SENT = ("regexes_to_ignore", "tokenizer")
"""A pattern may take for ever, and a function cannot be sent."""


def check_options(metric: str, options: Mapping[str, Any]) -> None:
    """Raise InvalidInput for what may not be sent; what a metric does not know is its own refusal."""
    for name, value in options.items():
        if name in NOT_SENT:
            raise InvalidInput("error.metric_not_offered", name=metric, option=name)
        if isinstance(value, int | float) and abs(value) > LARGEST:
            raise InvalidInput("error.number_outside", name=name, value=value, low=-LARGEST, high=LARGEST)
        if name == "tokenize" and value not in (None, *TOKENIZERS):
            raise InvalidInput("error.not_an_option", name=name, value=value, options=", ".join(TOKENIZERS))


@contextmanager
def blaming_options(metric: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Say in words that a library cannot use an option: each checks its own in its own way, and some not at all."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as problem:
        if not options:
            raise
        told = f"{type(problem).__name__}: {str(problem).strip()[:200]}"
        raise InvalidInput("error.metric_refused", name=metric, detail=told) from problem
