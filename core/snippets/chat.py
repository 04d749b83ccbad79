"""The code of /chat: transformers' own pipeline with the messages, or huggingface_hub for a model elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from core.catalogue import find_task
from core.messages import Message, as_dicts
from core.remote.names import remote_place
from core.remote.options import RemoteOptions
from core.snippets.loading import Plan, pipeline
from core.snippets.remote import Talk, remote_chat, remote_curl
from core.snippets.source import Code, call, code, literal
from core.tasks.text.chat import TASK, ChatSettings
from core.tasks.text.chat_elsewhere import as_sent
from core.tasks.text.chat_prompt import ChatPrompt
from core.tasks.text.sampling import arguments

TEMPLATE = "# as its template can write them, and as many as fit"
SENT = "# as they are sent: as many as fit, without thoughts, none empty, neighbours of the same role joined"


def chat(settings: ChatSettings, plan: Plan) -> list[Code]:
    """Write the conversation and what asks for its next answer; one that was stopped is written to its end."""
    if plan.chat is None:
        return _elsewhere(settings, plan)
    template = [f"write.tokenizer.chat_template = {literal(plan.chat.template)}"] if plan.chat.template else []
    return [
        pipeline(plan, "text-generation", find_task(TASK).auto_class, "write"),
        code("", *template, _listed("messages", settings.messages)),
        code("", *_read(settings.messages, plan.chat.read, plan.chat.left_out, TEMPLATE)),
        code("transformers:set_seed", f"set_seed({plan.seed})") if plan.seed is not None else code(""),
        code("", *_ask(settings, plan.chat)),
    ]


def _elsewhere(settings: ChatSettings, plan: Plan) -> list[Code]:
    talk = _talk(settings, plan)
    read = _read(settings.messages, as_sent(settings.messages, plan.left_out), plan.left_out, SENT)
    return remote_chat(talk, as_dicts(settings.messages), read)


def curl_elsewhere(settings: ChatSettings, plan: Plan) -> str:
    """Write bash that asks the model elsewhere without Atelier."""
    return remote_curl(_talk(settings, plan), as_dicts(as_sent(settings.messages, plan.left_out)))


def _talk(settings: ChatSettings, plan: Plan) -> Talk:
    answered = plan.origin.base.name if plan.origin.base else ""
    return Talk(remote_place(settings.model), answered, RemoteOptions.of(settings, plan.seed), plan.thought)


def _listed(name: str, messages: Sequence[Message]) -> str:
    lines = (f'    {{"role": {literal(one.role)}, "content": {literal(one.content)}}},' for one in messages)
    return "\n".join([f"{name} = [", *lines, "]"])


def _read(messages: Sequence[Message], read: Sequence[Message], left_out: int, why: str) -> list[str]:
    """Write what the model was given, where that is not the whole conversation as it stands."""
    if tuple(read) == tuple(messages):
        return []
    system = int(messages[0].role == "system")
    first = system + left_out
    if tuple(read) != (*messages[:system], *messages[first:]):
        return [why, _listed("read", read)]
    kept = f"[messages[0], *messages[{first}:]]" if system else f"messages[{first}:]"
    return [f"read = {kept}  # the oldest ones do not fit"]


def _ask(settings: ChatSettings, prompt: ChatPrompt) -> list[str]:
    options = {name: literal(value) for name, value in arguments(settings, prompt.ends).items()}
    if stops := [*settings.stop_strings, *prompt.stops]:
        options |= {"stop_strings": literal(stops), "tokenizer": "write.tokenizer"}
    whole = prompt.read == settings.messages
    if whole and not prompt.stops:
        return [call("result = write", "messages", **options)]
    return [
        call("answer = write", "messages" if whole else "read", **options) + '[0]["generated_text"][-1]',
        *(
            f'answer["content"] = answer["content"].partition({literal(stop)})[0].strip()  # the next turn'
            for stop in prompt.stops
        ),
        'result = [{"generated_text": [*messages, answer]}]',
    ]
