"""A conversation as one text: the model's own template, or one of ours where it has none; and where its answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ModelError
from core.messages import ROLES

Messages = Sequence[dict[str, str]]

TAUGHT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n' }}"
    "{% else %}{{ 'Assistant: ' + message['content'] + eos_token + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""For a model that was never taught to chat: the plain form of the Chat tab, with an end that can be learnt."""


def has_template(tokenizer: Any) -> bool:
    """Tell whether the tokenizer brings a template for plain conversations."""
    own = tokenizer.chat_template
    return "default" in own if isinstance(own, dict) else bool(own)


@dataclass(frozen=True)
class Spoken:
    """A conversation as text, and the characters of it that are the assistant's to say, its end signs included."""

    text: str
    answers: tuple[tuple[int, int], ...]


def write(tokenizer: Any, messages: Messages, template: str | None, *, asks: bool = False) -> str:
    """Write the conversation by the template; `asks` adds what the next answer begins after.

    Raises ModelError where the template refuses; a system prompt that it refuses is read with the first question.
    """
    try:
        return _render(tokenizer, messages, template, asks=asks)
    except Exception as problem:  # whatever a foreign template provokes
        if messages[0]["role"] != ROLES[0] or len(messages) < 2:  # noqa: PLR2004 a system prompt alone
            raise _refused(tokenizer, problem) from problem
    system, first, *rest = messages
    joined = {"role": first["role"], "content": f"{system['content']}\n\n{first['content']}"}
    return write(tokenizer, [joined, *rest], template, asks=asks)


def _render(tokenizer: Any, messages: Messages, template: str | None, *, asks: bool) -> str:
    """Jinja runs in transformers' sandbox."""
    return str(
        tokenizer.apply_chat_template(
            list(messages), chat_template=template, tokenize=False, add_generation_prompt=asks
        )
    )


def _refused(tokenizer: Any, problem: Exception) -> ModelError:
    reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return ModelError("error.template_refused", name=tokenizer.name_or_path, reason=reason)


def spoken(tokenizer: Any, messages: Messages, template: str | None) -> list[Spoken]:
    """Return the conversation with its answers marked; a text for each answer where earlier ones change later.

    Some templates leave thoughts out of all answers but the last: what the model reads when it gives an answer is then
    another text for each. An answer that the template changes beyond recognition is left out.
    """
    places = [place for place, message in enumerate(messages) if message["role"] == ROLES[2]]
    whole = write(tokenizer, messages, template)
    spans = [_span(tokenizer, messages[: place + 1], template) for place in places]
    if all(text is not None and whole.startswith(text) for text, _ in spans):
        return [Spoken(whole, tuple(span for _, span in spans))]
    return [Spoken(text, (span,)) for text, span in spans if text is not None]


def _span(tokenizer: Any, messages: Messages, template: str | None) -> tuple[str | None, tuple[int, int]]:
    """Return the text up to an answer's end, and where in it the answer stands; None where it cannot be found."""
    text = write(tokenizer, messages, template).rstrip()
    before = write(tokenizer, messages[:-1], template, asks=True) if len(messages) > 1 else ""
    start = _common(before, text)
    said = messages[-1]["content"].strip()
    at = text.find(said, start)
    if at < 0:
        return None, (0, 0)
    asks_nothing = len(messages) > 1 and before == write(tokenizer, messages[:-1], template)
    return text, (at if asks_nothing else start, len(text))


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
