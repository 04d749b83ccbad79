"""Conversations in the ways in which people write them, all turned into messages with a role and a content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.messages import ROLES
from core.training.data.examples.cells import BadCellError, is_blank, parsed, shortened, text_in
from core.training.data.prepared import Row
from core.words import say

SYSTEM, USER, ASSISTANT = ROLES
ALIASES: Mapping[str, str] = {"human": USER, "user": USER, "gpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT}
"""ShareGPT's and other people's words for the roles."""


def read_conversation(cells: Mapping[str, Any]) -> Row:
    """Read messages: [{role, content}] or ShareGPT's [{from, value}], or their JSON."""
    messages = messages_in(cells["messages"], "messages")
    check_turns(messages, "messages")
    if messages[-1]["role"] != ASSISTANT:
        raise BadCellError("messages", say("say.data_ends_with_user"))
    return {"messages": messages}


def read_instruction(cells: Mapping[str, Any]) -> Row:
    """Read instruction and output; an input, as Alpaca has it, stands below the instruction."""
    asked = text_in(cells["instruction"], "instruction")
    if not is_blank(cells.get("input")):
        asked = f"{asked}\n\n{text_in(cells['input'], 'input')}"
    return {"messages": [*_system(cells), _said(USER, asked), _said(ASSISTANT, text_in(cells["output"], "output"))]}


def read_completion(cells: Mapping[str, Any]) -> Row:
    """Read prompt and completion, as the two messages that they are; how they are joined, the model decides."""
    prompt, completion = text_in(cells["prompt"], "prompt"), text_in(cells["completion"], "completion")
    return {"messages": [*_system(cells), _said(USER, prompt), _said(ASSISTANT, completion)]}


def read_preference(cells: Mapping[str, Any]) -> Row:
    """Read prompt, chosen and rejected: texts, or conversations that differ in their last answer.

    Returns `messages`, what both answer (none where there is no prompt), `chosen` and `rejected`.
    """
    chosen, rejected = parsed(cells["chosen"]), parsed(cells["rejected"])
    if isinstance(chosen, list) and isinstance(rejected, list):
        found = _talked(cells, messages_in(chosen, "chosen"), messages_in(rejected, "rejected"))
    else:
        found = {
            "messages": _prompt(cells),
            "chosen": text_in(chosen, "chosen"),
            "rejected": text_in(rejected, "rejected"),
        }
    if found["chosen"].strip() == found["rejected"].strip():
        raise BadCellError("rejected", say("say.data_chosen_is_rejected"))
    return found


def _talked(cells: Mapping[str, Any], chosen: list[dict[str, str]], rejected: list[dict[str, str]]) -> Row:
    """Return what both conversations begin with, and their last answers."""
    before = [*_prompt(cells), *chosen[:-1]]
    if chosen[:-1] != rejected[:-1]:
        raise BadCellError("rejected", say("say.data_prompts_differ"))
    for column, said in (("chosen", chosen), ("rejected", rejected)):
        if said[-1]["role"] != ASSISTANT:
            raise BadCellError(column, say("say.data_ends_with_user"))
    if before:
        check_turns([*before, chosen[-1]], "chosen")
    return {"messages": before, "chosen": chosen[-1]["content"], "rejected": rejected[-1]["content"]}


def _prompt(cells: Mapping[str, Any]) -> list[dict[str, str]]:
    if is_blank(cells.get("prompt")):
        if "prompt" in cells:
            raise BadCellError("prompt", say("say.data_blank"))
        return []
    prompt = parsed(cells["prompt"])
    if isinstance(prompt, list):
        return messages_in(prompt, "prompt")
    return [_said(USER, text_in(prompt, "prompt"))]


def _system(cells: Mapping[str, Any]) -> list[dict[str, str]]:
    return [] if is_blank(cells.get("system")) else [_said(SYSTEM, text_in(cells["system"], "system"))]


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def messages_in(cell: Any, column: str) -> list[dict[str, str]]:
    """Read a list of messages; refuses roles that nobody has, blank contents, and calls of tools."""
    found = parsed(cell)
    if not isinstance(found, list) or not found:
        raise BadCellError(column, say("say.data_blank") if is_blank(found) else say("say.data_not_messages"))
    return [_message(one, place, column) for place, one in enumerate(found, start=1)]


def _message(one: Any, place: int, column: str) -> dict[str, str]:
    if not isinstance(one, Mapping):
        raise BadCellError(column, say("say.data_not_messages"))
    if one.get("tool_calls") or one.get("function_call"):
        raise BadCellError(column, say("say.data_tool_call", place=place))
    named = str(one.get("role") or one.get("from") or "").strip().lower()
    role = ALIASES.get(named, named)
    if role not in ROLES:
        allowed = ", ".join(ROLES)
        raise BadCellError(column, say("say.data_role", role=shortened(named), place=place, roles=allowed))
    content = one.get("content", one.get("value"))
    if not isinstance(content, str) or not content.strip():
        raise BadCellError(column, say("say.data_message_blank", place=place, role=role))
    return _said(role, content)


def check_turns(messages: list[dict[str, str]], column: str) -> None:
    """Refuse a system prompt that is not first, two turns of one side in a row, and talks nobody answers."""
    turns = messages[1:] if messages[0]["role"] == SYSTEM else messages
    skipped = len(messages) - len(turns)
    for place, message in enumerate(turns):
        expected = (USER, ASSISTANT)[place % 2]
        if message["role"] != expected:
            number = place + skipped + 1
            raise BadCellError(column, say("say.data_turn", place=number, role=message["role"], expected=expected))
    if not any(message["role"] == ASSISTANT for message in turns):
        raise BadCellError(column, say("say.data_no_answer"))
