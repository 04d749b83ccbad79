"""The numbers in servers' refusals of a conversation that is too long, in the words of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.remote.lengths import told_length, told_limit


@pytest.mark.parametrize(
    ("message", "limit", "length"),
    [
        (
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8500 in the "
                "messages, 500 in the completion). Please reduce the length of the messages or completion."
            ),
            8192,
            8500,
        ),
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 8,500 tokens.",
            8192,
            8500,
        ),
        (
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is "
                "1000 tokens and your request has 700 input tokens (500 > 1000 - 700)."
            ),
            1000,
            700,
        ),
        ("request (5321 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096, 5321),
        (
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5321 `inputs` "
                "tokens and 100 `max_new_tokens`"
            ),
            4096,
            5321,
        ),
        ("Input validation error: `inputs` must have less than 1024 tokens. Given: 5321", 1024, 5321),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200_000, 210_000),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            32_768,
            40_000,
        ),
        (
            (
                "Trying to keep the first 5321 tokens when context the overflows. However, the model is loaded with "
                "context length of only 4096 tokens, which is not enough."
            ),
            4096,
            5321,
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            1_048_576,
            1_200_000,
        ),
        ("Please reduce the length of the messages or completion.", None, None),
        ("maximum context length is 8 tokens", 8, None),
    ],
    ids=[
        *("openai", "openai-messages", "vllm", "llama.cpp", "tgi", "tgi-inputs", "anthropic", "mistral", "lm-studio"),
        *("gemini", "groq", "half"),
    ],
)
def test_each_server_in_its_own_words(message: str, limit: int | None, length: int | None) -> None:
    """How much the model reads and how long the messages are is found, as far as the server tells."""
    for body in (message, json.dumps({"error": {"message": message, "code": "context_length_exceeded"}})):
        assert (told_limit(body), told_length(body)) == (limit, length)


@pytest.mark.parametrize("spaces", [None, (",", ":")])
def test_numbers_beside_the_words(spaces: Any) -> None:
    """The numbers that llama.cpp gives as fields of its own are found, with and without blanks."""
    body = json.dumps({"error": {"message": "too long", "n_prompt_tokens": 5321, "n_ctx": 4096}}, separators=spaces)
    assert (told_limit(body), told_length(body)) == (4096, 5321)
