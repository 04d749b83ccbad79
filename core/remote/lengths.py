"""How long a server says that a conversation is, and how much its model reads, in the words of each kind of server."""

from __future__ import annotations

import re

_NUMBER = r"(\d[\d,]*)"
_LIMITS = tuple(
    re.compile(words.replace("#", _NUMBER), re.IGNORECASE)
    for words in (
        "maximum context length (?:is|of) #",  # OpenAI, vLLM
        '"n_ctx": ?#',  # llama.cpp
        r"context (?:size|length|window) \(?(?:is |of )?(?:only )?#",  # llama.cpp, LM Studio
        r"must be <= #",  # TGI, of prompt and answer
        "must have less than # tokens",  # TGI, of the prompt
        "> # maximum",  # Anthropic
        "# maximum context length",  # Mistral
        r"maximum number of tokens allowed \(?#",  # Gemini
    )
)
_LENGTHS = tuple(
    re.compile(words.replace("#", _NUMBER), re.IGNORECASE)
    for words in (
        "# (?:tokens )?in (?:the|your) (?:messages|prompt)",  # OpenAI, vLLM
        "messages resulted in # tokens",  # OpenAI
        "(?:has|contains) (?:at least )?# (?:input )?tokens",  # vLLM, Mistral
        '"n_prompt_tokens": ?#',  # llama.cpp
        r"request \(# tokens\)",  # llama.cpp
        "keep the first # tokens",  # LM Studio
        "given: #",  # TGI
        "too long: # tokens",  # Anthropic
        r"input token count \(?#",  # Gemini
    )
)


def told_limit(body: str) -> int | None:
    """Return how many tokens the model reads, by a server's refusal; None where it does not say."""
    return _first(_LIMITS, body)


def told_length(body: str) -> int | None:
    """Return how many tokens the messages have, by a server's refusal; None where it does not say."""
    return _first(_LENGTHS, body)


def _first(forms: tuple[re.Pattern[str], ...], body: str) -> int | None:
    found = next((match for form in forms if (match := form.search(body))), None)
    return int(found[1].replace(",", "")) if found else None
