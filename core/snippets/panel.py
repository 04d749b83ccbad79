"""What a tab shows under a result: Python and bash, each in a fence that its text cannot close."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any

from core.catalogue import find_task
from core.remote.names import is_remote
from core.snippets.chat import curl_elsewhere
from core.snippets.curl import curl_snippet
from core.snippets.python import Answered, plan_of, python_snippet
from core.tasks.text.chat import ChatSettings
from core.tasks.text.options import ModelOptions

_BACKTICKS = re.compile(r"`+")


def snippets_markdown(
    task: str, settings: ModelOptions, answer: Answered, base_url: str, *, user: str | None = None
) -> str:
    """Return fenced blocks of Markdown: the Python and the curl that give the result of `answer` again.

    `user` is the name to log in with, where this instance asks for a password. A third block asks a model elsewhere
    without Atelier.
    """
    python = python_snippet(task, settings, answer)
    curl = curl_snippet(task.replace("-", "_"), given(task, settings, answer.provenance.seed), base_url, user=user)
    blocks = [fenced(python, "python"), fenced(curl, "bash")]
    if isinstance(settings, ChatSettings) and is_remote(settings.model):
        blocks.append(fenced(curl_elsewhere(settings, plan_of(settings, answer)), "bash"))
    return "\n\n".join(blocks)


def given(task: str, settings: Any, seed: int | None = None) -> dict[str, Any]:
    """Return the parameters that differ from the endpoint's defaults, the input itself first; a starter is one.

    `seed` is what the result was drawn with, where the settings left it to chance.
    """
    usual = {field.name: _default(field) for field in fields(settings)}
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    asked = {name: value for name, value in values.items() if usual[name] is MISSING}
    chosen = {name: value for name, value in values.items() if name not in asked and value != usual[name]}
    if seed is not None:
        chosen["seed"] = seed
    if chosen.get("model") == find_task(task).starter:
        del chosen["model"]
    return asked | chosen


def fenced(code: str, language: str) -> str:
    """Put code between backticks, more of them than the code has in a row."""
    longest = max((len(found) for found in _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
