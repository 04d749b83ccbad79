"""The code of a conversation with a model elsewhere: huggingface_hub's InferenceClient, or curl, without Atelier."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.remote.names import PROVIDERS, Endpoint, Place
from core.remote.options import RemoteOptions
from core.snippets.curl import LONGEST_ARGUMENT, json_line
from core.snippets.source import Code, call, code, literal

KEY = "ENDPOINT_KEY"
"""The variable of the environment that the code reads a server's key from; a token comes from HF_TOKEN."""

PRINT_TEXT = """python3 -c '
import json, sys
answer = json.loads(sys.stdin.read() or "null")
print(answer["choices"][0]["message"]["content"])'"""
PRINT_THOUGHTS = """python3 -c '
import json, sys
said = json.loads(sys.stdin.read() or "null")["choices"][0]["message"]
thought = said.get("reasoning") or said.get("reasoning_content")
print(*(["<think>", thought, "</think>"] if thought else []), said["content"] or "", sep="")'"""
CONTENT = ("content = answer.choices[0].message.content",)
THOUGHTS = (
    "said = answer.choices[0].message",
    'thought, content = said.reasoning or said.get("reasoning_content"), said.content or ""',
    "if thought:  # some servers tell apart what the model thought first",
    '    content = f"<think>{thought}" + (f"</think>{content}" if content else "")',
)
"""What models write between these tags stands in front of the answer, as here."""


@dataclass(frozen=True)
class Talk:
    """Who is asked, and how."""

    place: Place
    model: str
    """The name that answered: an address whose only model was asked has none of its own."""
    options: RemoteOptions
    thought: bool = False
    """The answer begins with what the model thought."""


def remote_chat(talk: Talk, messages: Sequence[Mapping[str, str]], read: Sequence[str] = ()) -> list[Code]:
    """Write Python whose `result` is the conversation with its answer, in the format of the transformers pipeline.

    `read`: lines that make `read` of `messages`, where not all of them are sent as they stand.
    """
    place = talk.place
    asked = place.model or talk.model if isinstance(place, Endpoint) else place.asked_as
    chosen = {name: literal(value) for name, value in talk.options.parameters().items()}
    return [
        _client(place),
        code("", "messages = [", *(f"    {_message(one)}," for one in messages), "]"),
        code("", *read),
        code(
            "",
            call("answer = client.chat_completion", "read" if read else "messages", model=literal(asked), **chosen),
            *(THOUGHTS if talk.thought else CONTENT),
            'result = [{"generated_text": [*messages, {"role": "assistant", "content": content}]}]',
        ),
    ]


def remote_curl(talk: Talk, messages: Sequence[Mapping[str, str]]) -> str:
    """Write bash that asks the server itself, with these messages, and prints the answer."""
    place = talk.place
    asked = place.model or talk.model if isinstance(place, Endpoint) else place.name.removeprefix(PROVIDERS)
    said = [{"role": one["role"], "content": one["content"]} for one in messages]
    body = shlex.quote(json_line({"model": asked, "messages": said, **talk.options.parameters()}))
    key = "${HF_TOKEN:?}" if _takes_token(place) else f"${{{KEY}:--}}"
    header = f"-H 'Content-Type: application/json' -H \"Authorization: Bearer {key}\""
    ask = f"curl -sSf {shlex.quote(place.completions)} {header}"
    long = len(body.encode()) > LONGEST_ARGUMENT
    ask = f"printf '%s' {body} | {ask} -d @-" if long else f"{ask} -d {body}"
    return f"{ask} | {PRINT_THOUGHTS if talk.thought else PRINT_TEXT}\n"


def _client(place: Place) -> Code:
    """Write who is asked; a key comes from the environment and is never written down."""
    needed, token = "os huggingface_hub:InferenceClient", 'os.environ["HF_TOKEN"]'
    if not isinstance(place, Endpoint):
        return code(needed, call("client = InferenceClient", provider=literal(place.served_by), api_key=token))
    whole = place.base if place.base.endswith("/v1") else place.completions  # else the client would put /v1 in between
    if _takes_token(place):
        return code(needed, call("client = InferenceClient", base_url=literal(whole), api_key=token))
    return code(
        needed,
        f"# {KEY} is the server's key, if it has one; without api_key your Hugging Face token would be sent",
        call("client = InferenceClient", base_url=literal(whole), api_key=f'os.environ.get("{KEY}", "-")'),
    )


def _message(one: Mapping[str, str]) -> str:
    return f'{{"role": {literal(one["role"])}, "content": {literal(one["content"])}}}'


def _takes_token(place: Place) -> bool:
    return not isinstance(place, Endpoint) or place.for_hugging_face
