"""The code of a conversation, run as a reader would run it: it prints the very result that we gave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.atelier import open_atelier
from core.settings import PROJECT, Settings
from core.snippets import python_snippet, snippets_markdown
from core.snippets.chat import curl_elsewhere
from core.snippets.panel import given
from core.snippets.python import plan_of
from core.tasks.text.chat import TASK, ChatSettings, Reply, chat
from tests.fakes.chat_server import ANSWER, FakeChatServer
from tests.fakes.models import CHATML, tiny_chat

HISTORY = [
    {"role": "user", "content": 'Hi, it\'s "me":\n```\\'},
    {"role": "assistant", "content": "你好 😀 <|im_end|>"},
]
LONG = [{"role": role, "content": f"{place} " + "x" * 30} for place in range(4) for role in ("user", "assistant")]
REFUSES_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system') }}{% endif %}" + CHATML

CASES: tuple[tuple[str | None, Mapping[str, Any]], ...] = (
    (CHATML, {"history": HISTORY, "system_prompt": "Be kind.", "seed": 4}),
    (CHATML, {"history": LONG, "do_sample": False}),
    (CHATML, {"history": LONG, "system_prompt": "Be kind.", "stop": "q\n\\n", "seed": 2}),
    (CHATML, {"history": [{"role": "user", "content": "Hi"}], "num_beams": 2, "do_sample": False}),
    (REFUSES_SYSTEM, {"history": HISTORY, "system_prompt": "Be kind.", "do_sample": False}),
    (None, {"history": HISTORY, "system_prompt": "Be kind.", "seed": 9}),
    (None, {"history": [*LONG, *LONG], "stop": "z", "seed": 1}),
)
RUN_ALL = """
import contextlib, io, json, sys
for program in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, "snippet", "exec"), {"__name__": "__main__"})
    print(json.dumps(printed.getvalue()))
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[ChatSettings, Reply]]:
    """Give each case with our answer."""
    folder, registry = tmp_path_factory.mktemp("models"), open_atelier(Settings()).registry
    templates = list(dict.fromkeys(template for template, _ in CASES))
    models = {template: str(tiny_chat(folder / str(place), template)) for place, template in enumerate(templates)}
    cases = [
        ChatSettings(message="And you?", model=models[template], max_new_tokens=20, **values)
        for template, values in CASES
    ]
    return [(settings, chat(settings, registry)) for settings in cases]


@pytest.fixture(scope="module")
def printed(asked: list[tuple[ChatSettings, Reply]]) -> list[str]:
    """What each program prints, all in one process of its own."""
    programs = json.dumps([python_snippet(TASK, *one) for one in asked])
    return [json.loads(line) for line in run(programs, "-c", RUN_ALL).splitlines()]


def run(given_text: str, *command: str) -> str:
    """Run Python in the project folder and return what it prints; its complaints fail the test."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env={**os.environ, "HF_HUB_OFFLINE": "0"},  # else huggingface_hub calls not even the loopback
        input=given_text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(CASES)))
def test_python_prints_our_result(number: int, asked: list[tuple[ChatSettings, Reply]], printed: list[str]) -> None:
    """The plain pipeline, told what the code tells it, gives the very conversation."""
    assert json.loads(printed[number]) == asked[number][1].result


def test_what_was_left_out_is_said(asked: list[tuple[ChatSettings, Reply]]) -> None:
    """The code shows which messages the model did not read, and which form they had."""
    programs = [python_snippet(TASK, *one) for one in asked]
    assert "read = messages[" in programs[1]
    assert "read = [messages[0], *messages[" in programs[2]
    assert "read = [\n" in programs[4]
    assert "chat_template" in programs[5]
    assert all("chat_template" not in program and "eos_token_id" in program for program in programs[:5])


def test_the_request_is_given_whole() -> None:
    """The curl sends the message, and of the rest what differs from the defaults: the history as a list."""
    found = given(TASK, ChatSettings(message="Hi", history=json.dumps(HISTORY), model="starter/stories", top_k=3))
    assert list(found) == ["message", "top_k", "history"]
    assert json.loads(json.dumps(found["history"])) == HISTORY


@pytest.mark.parametrize("system_prompt", ["", "Be kind."])
def test_what_did_not_fit_elsewhere_is_left_out_by_the_code(system_prompt: str) -> None:
    """The code sends what was read in the end, and prints the whole conversation, as our result does."""
    with FakeChatServer(context=256 + 17) as server:
        settings = ChatSettings(
            message="And you?", history=[*LONG, *HISTORY], system_prompt=system_prompt, model=server.name(), seed=3
        )
        reply = chat(settings, open_atelier(Settings()).registry)
        assert reply.left_out > 0
        assert json.loads(run(python_snippet(TASK, settings, reply), "-")) == reply.result
        bash = curl_elsewhere(settings, plan_of(settings, reply))
        done = subprocess.run(["bash"], input=bash, capture_output=True, text=True, check=True)
        assert done.stdout == f"{reply.text}\n"
        *refused, ours, python, curl = [one.body["messages"] for one in server.conversations]
        assert ours == python == curl
        assert all(len(one) > len(ours) for one in refused)
        assert ours[0]["content"] == system_prompt or not system_prompt


def test_the_code_has_the_thoughts_of_a_model_elsewhere() -> None:
    """What a server tells apart as reasoning stands in front of the answer, in Python and in bash, as in our result."""
    with FakeChatServer() as server:
        for _ in range(3):
            server.next(thoughts=("It's", ' "me".'))
        thoughts = [HISTORY[0], {"role": "assistant", "content": "<think>Who?</think>You."}]
        settings = ChatSettings(message="And you?", history=thoughts, model=server.name(), seed=3)
        reply = chat(settings, open_atelier(Settings()).registry)
        assert reply.text == f'<think>It\'s "me".</think>{"".join(ANSWER)}'
        assert json.loads(run(python_snippet(TASK, settings, reply), "-")) == reply.result
        bash = curl_elsewhere(settings, plan_of(settings, reply))
        done = subprocess.run(["bash"], input=bash, capture_output=True, text=True, check=True)
        assert done.stdout == f"{reply.text}\n"
        ours, python, curl = [one.body["messages"] for one in server.conversations]
        assert ours == python == curl
        assert ours[1]["content"] == "You."


def test_a_model_elsewhere_has_code_of_its_own(tmp_path: Path) -> None:
    """For a model on another machine the code asks that machine, and prints our result."""
    with FakeChatServer() as server:
        registry = open_atelier(Settings()).registry
        settings = ChatSettings(message="And you?", history=HISTORY, model=server.name(), seed=3)
        reply = chat(settings, registry)
        assert reply.text == "".join(ANSWER)
        assert json.loads(run(python_snippet(TASK, settings, reply), "-")) == reply.result
        first, second = (one.body for one in server.conversations)
        streaming = {"stream", "stream_options"}
        assert {name: value for name, value in first.items() if name not in streaming} == {
            name: value for name, value in second.items() if name not in streaming
        }
        panel = snippets_markdown(TASK, settings, reply, "http://here")
        assert "/gradio_api/call/v2/chat" in panel
    assert not list(tmp_path.iterdir())
