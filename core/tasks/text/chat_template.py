"""How a conversation becomes one text: the model's own chat template, or a plain one of ours where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from core.catalogue import Source
from core.errors import ModelError
from core.messages import Message, as_dicts, joined
from core.models.loading import LoadedModel
from core.models.weights import first_line
from core.tasks.text.encoder import tokenize

USER_TURN = "\nUser:"
"""Where an answer by the plain template is over: the model goes on with the next question by itself."""

PLAIN = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}{{ '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n' }}"
    "{% else %}{{ 'Assistant: ' + message['content'] + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""For a model that was never taught to chat: the form in which conversations stand in books and on web pages."""

STORY = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if not loop.first and message['content'][:1] not in ' \\n' %}{{ ' ' }}{% endif %}"
    "{{ message['content'] }}{% endfor %}"
)
"""For the starter that tells stories: everybody's words are the story so far, and it goes on."""

_PROBE = "\u00abprobe\u00bb"


@dataclass(frozen=True)
class ChatTemplate:
    """The template that a model reads conversations by; `text` is one of ours, or None for its own."""

    model: LoadedModel
    text: str | None = None

    @cached_property
    def has_system(self) -> bool:
        """Tell whether a system prompt changes what the model reads: some templates refuse it, some leave it out."""
        said = Message("user", _PROBE)
        self._render([said])  # a template that refuses even this is broken, which is another matter
        try:
            first, second = (self._render([Message("system", text), said]) for text in ("a", "b"))
        except ModelError:
            return False
        return first != second

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer, the one that ends the template's turns among them; none = the model's own."""
        own = self.model.model.generation_config.eos_token_id
        known = own if isinstance(own, list) else [own]
        more = (self.model.tokenizer.eos_token_id, self._end_of_turn())
        found = tuple(dict.fromkeys(id_ for id_ in (*known, *more) if id_ is not None))
        return () if set(found) == set(known) else found

    def read_as(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages as they go into the template: neighbours joined, a homeless system prompt folded in."""
        whole = joined(messages)
        if len(whole) > 1 and whole[0].role == "system" and not self.has_system:
            system, first, *rest = whole
            return (replace(first, content=f"{system.content}\n\n{first.content}"), *rest)
        return whole

    def prompt(self, messages: Sequence[Message]) -> str:
        """Return the text that asks for the next answer; raises ModelError if the template refuses."""
        return self._render(messages, add_generation_prompt=True)

    def ids(self, text: str) -> list[int]:
        """Tokenize as apply_chat_template does: the template has written the special tokens itself."""
        found: list[int] = tokenize(self.model, [text], add_special_tokens=False)["input_ids"][0]
        return found

    def _end_of_turn(self) -> int | None:
        """Return the special token that stands behind an answer, None if there is only text."""
        if self.text is not None:
            return None
        try:
            whole = self._render([Message("user", "a"), Message("assistant", _PROBE)])
        except ModelError:
            return None
        after = self.ids(whole.rpartition(_PROBE)[2].lstrip())
        return after[0] if after and after[0] in self.model.tokenizer.added_tokens_decoder else None

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """Write the conversation; Jinja runs in transformers' sandbox."""
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": add_generation_prompt}
        try:
            written = self.model.tokenizer.apply_chat_template(as_dicts(messages), chat_template=self.text, **options)
        except Exception as problem:  # whatever a foreign template provokes
            raise ModelError(
                "error.template_refused", name=self.model.spec.name, reason=first_line(problem)
            ) from problem
        return str(written)


def template_of(model: LoadedModel) -> ChatTemplate:
    """Return the model's own chat template, else the one of ours that fits it."""
    if _has_own(model.tokenizer):
        return ChatTemplate(model)
    return ChatTemplate(model, STORY if model.spec.source is Source.STARTER else PLAIN)


def _has_own(tokenizer: Any) -> bool:
    """Tell whether the tokenizer brings a template for plain conversations."""
    own = tokenizer.chat_template
    return "default" in own if isinstance(own, dict) else bool(own)
