"""A conversation goes on: as the pipeline would, with what fits, in whatever template, stopped, refused in words."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from core.errors import Cancelled, InvalidInput, ModelError
from core.events import CancelToken
from core.messages import Message
from core.models.registry import Registry
from core.remote.options import RemoteOptions
from core.tasks.text.chat import MOST_NEW_TOKENS, ChatSettings, Reply, chat
from core.tasks.text.chat_template import PLAIN, STORY
from core.tasks.text.encoder import Lane
from core.tasks.text.sampling import STOP_LINES, arguments
from core.words import say
from tests.fakes.chat_server import ANSWER, FakeChatServer
from tests.fakes.models import CHATML, tiny_chat

BEFORE = [{"role": "user", "content": "Hi, 你好"}, {"role": "assistant", "content": "Hello!"}]
REFUSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
IGNORES_SYSTEM = CHATML.replace("messages %}", "messages if message['role'] != 'system' %}")
ALTERNATES = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant') }}{% endif %}"
    "{{ message['content'] }}{% endfor %}"
)

MakeChat = Callable[[str | None], str]


@pytest.fixture(scope="module")
def make_chat(tmp_path_factory: pytest.TempPathFactory) -> MakeChat:
    """Give a maker of tiny chat models, one for each template."""
    made: dict[str | None, str] = {}

    def make(template: str | None) -> str:
        if template not in made:
            made[template] = str(tiny_chat(tmp_path_factory.mktemp("model") / "chat", template))
        return made[template]

    return make


def settings(model: str, **values: Any) -> ChatSettings:
    """Return greedy settings for a short answer."""
    return ChatSettings(**{"message": "And you?", "do_sample": False, "max_new_tokens": 12, "model": model, **values})


def by_generate(model: str, messages: Sequence[dict[str, str]], count: int = 12) -> str:
    """Return what the plain library writes: its template, its greedy search."""
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids = network.generate(**inputs, do_sample=False, max_new_tokens=count)[0, inputs["input_ids"].shape[1] :]
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def test_greedy_equals_generate_on_the_template(make_chat: MakeChat, registry: Registry) -> None:
    """System prompt, history and message go through the model's own template, and greedy writes the same text."""
    model = make_chat(CHATML)
    reply = chat(settings(model, history=BEFORE, system_prompt="Be kind."), registry)
    said = [{"role": "system", "content": "Be kind."}, *BEFORE, {"role": "user", "content": "And you?"}]
    assert reply.text == by_generate(model, said)
    assert reply.result == [{"generated_text": [*said, {"role": "assistant", "content": reply.text}]}]
    assert (reply.reason, reply.new_tokens, reply.notes, reply.left_out) == ("length", 12, (), 0)
    assert reply.provenance.seed is None


def test_a_seed_gives_the_pipelines_answer(make_chat: MakeChat, registry: Registry) -> None:
    """A drawn answer is the one of transformers' pipeline with the same seed."""
    model = make_chat(CHATML)
    asked = settings(model, history=BEFORE, do_sample=True, seed=5, temperature=1.3)
    reply = chat(asked, registry)
    write = pipeline("text-generation", model=model, device="cpu")
    torch.manual_seed(5)
    said = [*BEFORE, {"role": "user", "content": "And you?"}]
    assert reply.result == write(said, **arguments(asked, reply.given.ends if reply.given else ()))
    assert reply.provenance.seed == 5


def test_an_answer_ends_with_the_templates_turn(make_chat: MakeChat, registry: Registry, tmp_path: Path) -> None:
    """The token that the template puts behind an answer ends it, though the model's own settings do not name it."""
    first = chat(settings(make_chat(CHATML)), registry)
    folder = tiny_chat(tmp_path / "chat")
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert first.given is not None
    assert end in first.given.ends
    assert end != network.generation_config.eos_token_id
    fourth = tokenizer(first.text, add_special_tokens=False)["input_ids"][3]
    rows = network.lm_head.weight.data
    rows[end] = rows[fourth] * 2  # wherever that token was the best, the end of a turn is better
    network.save_pretrained(folder)
    reply = chat(settings(str(folder)), registry)
    assert reply.reason == "eos"
    assert reply.new_tokens is not None
    assert reply.new_tokens <= 4
    assert first.text.startswith(reply.text)
    assert "im_end" not in reply.text


@pytest.mark.parametrize("template", [REFUSES_SYSTEM, IGNORES_SYSTEM], ids=["refuses", "ignores"])
def test_a_homeless_system_prompt_is_folded_in(make_chat: MakeChat, registry: Registry, template: str) -> None:
    """Where the template has no place for a system prompt, it heads the first message, and a note says so."""
    model = make_chat(template)
    reply = chat(settings(model, history=BEFORE, system_prompt="Be kind."), registry)
    folded = [{"role": "user", "content": "Be kind.\n\nHi, 你好"}, BEFORE[1], {"role": "user", "content": "And you?"}]
    assert reply.text == by_generate(model, folded)
    assert [note.key for note in reply.notes] == ["say.system_folded"]
    assert reply.provenance.fallbacks == tuple(map(str, reply.notes))
    assert reply.messages[0] == Message("system", "Be kind.")
    assert chat(settings(model, history=BEFORE), registry).notes == ()


def test_two_questions_in_a_row_are_one(make_chat: MakeChat, registry: Registry) -> None:
    """A question that was never answered does not break a template that wants the roles to alternate."""
    reply = chat(settings(make_chat(ALTERNATES), history=[{"role": "user", "content": "Hi"}]), registry)
    assert reply.given is not None
    assert reply.given.read == (Message("user", "Hi\n\nAnd you?"),)
    assert [message.content for message in reply.messages] == ["Hi", "And you?"]


def test_a_template_that_refuses_is_a_sentence(make_chat: MakeChat, registry: Registry) -> None:
    """What a template raises is told in its own words; a template that is broken, too."""
    with pytest.raises(ModelError, match="must alternate"):
        chat(settings(make_chat(ALTERNATES), history=[{"role": "assistant", "content": "I begin"}]), registry)
    for broken in ("{{ messages[9]['content'] }}", "{% for %}", "{{ ''.__class__.__mro__ }}"):
        with pytest.raises(ModelError) as caught:
            chat(settings(make_chat(broken)), registry)
        assert caught.value.sentence.key == "error.template_refused"


def test_a_template_runs_in_a_sandbox(make_chat: MakeChat, registry: Registry, tmp_path: Path) -> None:
    """A template cannot reach Python's insides."""
    mark = tmp_path / "mark"
    evil = "{{ cycler.__init__.__globals__.os.system('touch " + str(mark) + "') }}"
    with pytest.raises(ModelError):
        chat(settings(make_chat(evil)), registry)
    assert not mark.exists()


def test_without_a_template_a_plain_one_is_used(make_chat: MakeChat, registry: Registry) -> None:
    """A model without a template gets lines of “User:” and “Assistant:” and ends before the next; a note says so."""
    model = make_chat(None)
    reply = chat(settings(model, history=BEFORE, system_prompt="Be kind."), registry)
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert reply.given is not None
    assert tokenizer.decode(reply.given.ids) == (
        "<s>Be kind.\n\nUser: Hi, 你好\nAssistant: Hello!\nUser: And you?\nAssistant:"
    )
    assert [note.key for note in reply.notes] == ["say.chat_without_template"]
    assert reply.given.clean(" Fine.\nUser: Really?") == "Fine."


def test_the_templates_turn_ends_an_answer_beside_all_stops(
    make_chat: MakeChat, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many stops as are allowed, and as long, leave room for those of a template; either ends the answer."""
    model = make_chat(None)
    whole = chat(settings(model), registry).text
    stops = [str(place) * 49 for place in range(10, 10 + STOP_LINES - 1)]
    asked = chat(settings(model, stop="\n".join([*stops, whole[4:6]])), registry)
    assert (asked.reason, asked.text) == ("stop", whole[: whole.index(whole[4:6]) + 2])
    monkeypatch.setattr("core.tasks.text.chat_prompt.USER_TURN", whole[4:6])
    for beams in (1, 2):
        own = chat(settings(model, stop="\n".join([*stops, "z" * 9]), num_beams=beams), registry)
        assert whole[4:6] not in own.text
    assert chat(settings(model, stop="\n".join(stops)), registry).reason == "stop"


def test_plain_templates_are_jinja_of_transformers(make_chat: MakeChat) -> None:
    """Our own templates mean the same to the plain library; the storyteller's is everybody's words in a row."""
    tokenizer = AutoTokenizer.from_pretrained(make_chat(None))
    said = [{"role": "user", "content": "Once"}, {"role": "assistant", "content": " upon"}, BEFORE[0]]
    told = tokenizer.apply_chat_template(said, chat_template=STORY, tokenize=False, add_generation_prompt=True)
    assert told == "<s>Once upon Hi, 你好"
    assert "User: Once\n" in tokenizer.apply_chat_template(said, chat_template=PLAIN, tokenize=False)


def test_the_oldest_turns_go_first(make_chat: MakeChat, registry: Registry) -> None:
    """What does not fit is left out by whole turns from the oldest on; system prompt and last message stay."""
    model = make_chat(CHATML)
    turns = [
        one
        for place in range(5)
        for one in (
            {"role": "user", "content": f"{place} " + "x" * 25},
            {"role": "assistant", "content": f"{place} " + "y" * 25},
        )
    ]
    asked = settings(model, history=turns, system_prompt="Be kind.", max_new_tokens=20)
    reply = chat(asked, registry)
    assert reply.given is not None
    assert 0 < reply.left_out < len(turns)
    assert reply.left_out % 2 == 0
    kept = [{"role": "system", "content": "Be kind."}, *turns[reply.left_out :]]
    assert [one.as_dict() for one in reply.given.read] == [*kept, {"role": "user", "content": "And you?"}]
    assert len(reply.given.ids) + 20 <= 256
    assert [note.key for note in reply.notes] == ["say.turns_left_out"]
    assert [one.as_dict() for one in reply.messages[1:-1]] == turns
    fuller = [{"role": "system", "content": "Be kind."}, *turns[reply.left_out - 2 :]]
    tokenizer = AutoTokenizer.from_pretrained(model)
    longer = tokenizer.apply_chat_template([*fuller, {"role": "user", "content": "And you?"}], return_dict=False)
    assert len(longer) + 20 > 256 - len("<|im_start|>assistant\n")


def test_a_message_too_long_by_itself_is_refused(make_chat: MakeChat, registry: Registry) -> None:
    """The refusal has the numbers: how long it is, and what there is room for."""
    with pytest.raises(InvalidInput) as caught:
        chat(settings(make_chat(CHATML), message="x" * 300, history=BEFORE, max_new_tokens=40), registry)
    assert caught.value.sentence.key == "error.message_too_long"
    assert caught.value.sentence.values["room"] == 256 - 40
    assert caught.value.sentence.values["length"] > 300
    with pytest.raises(InvalidInput, match="max_new_tokens"):
        chat(settings(make_chat(CHATML), max_new_tokens=256), registry)


def test_it_is_told_as_it_grows(make_chat: MakeChat, registry: Registry) -> None:
    """Each telling goes on where the one before ended."""
    told: list[str] = []
    reply = chat(settings(make_chat(CHATML), max_new_tokens=25), registry, told=told.append)
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert reply.text.startswith(told[-1].rstrip("\ufffd"))


def test_a_stop_keeps_what_was_written(make_chat: MakeChat, registry: Registry) -> None:
    """A stopped answer ends within a token, and says that it was stopped; one that had not begun is cancelled."""
    cancel, heard = CancelToken(), threading.Event()

    def stop(text: str) -> None:
        if len(text) >= 3:
            cancel.cancel()
            heard.set()

    asked = settings(make_chat(CHATML), max_new_tokens=200, do_sample=True, seed=1)
    reply = chat(asked, registry, Lane(cancel=cancel), stop)
    assert heard.is_set()
    assert reply.reason == "stopped"
    assert reply.new_tokens is not None
    assert 0 < reply.new_tokens < 30
    with pytest.raises(Cancelled):
        chat(asked, registry, Lane(cancel=cancel))


def test_a_model_elsewhere_answers_alike(registry: Registry) -> None:
    """A model behind an address gets system prompt, history and message, and what it sends is told and counted."""
    told: list[str] = []
    with FakeChatServer() as server:
        reply = chat(settings(server.name(), history=BEFORE, system_prompt="Be kind."), registry, told=told.append)
        (heard,) = server.conversations
    assert heard.body["messages"] == [one.as_dict() for one in reply.messages]
    assert (reply.text, told[-1], reply.reason) == ("".join(ANSWER), "".join(ANSWER), "eos")
    assert (reply.new_tokens, reply.given, reply.left_out) == (len(ANSWER), None, 0)
    assert reply.provenance.device.startswith("remote: 127.0.0.1")


def test_a_stop_keeps_what_came_from_elsewhere(registry: Registry) -> None:
    """What another machine had sent until a stop is the answer; its connection is closed."""
    cancel, two = CancelToken(), "".join(ANSWER[:2])

    def stop(text: str) -> None:
        if text == two:
            cancel.cancel()

    with FakeChatServer() as server:
        turn = server.next(hold_after=2)
        reply = chat(settings(server.name()), registry, Lane(cancel=cancel), stop)
        assert turn.gone.wait(10)
        assert (reply.text, reply.reason, reply.new_tokens) == (two, "stopped", None)
        assert reply.provenance.as_dict()["model"] == server.models[0]
        with pytest.raises(Cancelled):
            chat(settings(server.name()), registry, Lane(cancel=cancel))


def turns(count: int, words: int = 10) -> list[dict[str, str]]:
    """Return so many turns of a question and an answer, each of so many words."""
    said = (("user", "x"), ("assistant", "y"))
    return [
        {"role": role, "content": " ".join([f"{place}{sign}"] * words)} for place in range(count) for role, sign in said
    ]


def sent_to(server: FakeChatServer) -> list[list[dict[str, str]]]:
    """Return the messages of each conversation that the server heard."""
    return [one.body["messages"] for one in server.conversations]


def test_the_oldest_turns_go_first_elsewhere(registry: Registry) -> None:
    """What is too long elsewhere goes again without its oldest turns, as many as the server's numbers ask for."""
    history, told = turns(10), list[str]()
    asked = {"history": history, "system_prompt": "Be kind.", "max_new_tokens": 20}
    with FakeChatServer(context=120) as server:
        reply = chat(settings(server.name(), **asked), registry, told=told.append)
        first, second = sent_to(server)
    assert reply.text == told[-1] == "".join(ANSWER)
    system, last = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "And you?"}
    assert first == [system, *history, last]
    assert second == [system, *history[reply.left_out :], last]
    assert reply.left_out % 2 == 0
    words = sum(len(one["content"].split()) for one in second)
    assert 120 - 20 - 20 < words <= 120 - 20, "one turn more would not have fitted"
    assert reply.notes == (say("say.turns_left_out", count=reply.left_out, limit=120, asked=20),)
    assert reply.provenance.fallbacks == tuple(map(str, reply.notes))
    assert [one.as_dict() for one in reply.messages] == [system, *history, last]


def test_a_server_without_numbers_is_asked_with_half(registry: Registry) -> None:
    """Where a refusal has no numbers, half of the turns that are left go each time, until it is taken."""
    history = turns(8)
    with FakeChatServer() as server:
        for _ in range(3):
            server.refuse(400, {"error": {"message": "Too much.", "code": "context_length_exceeded"}})
        reply = chat(settings(server.name(), history=history), registry)
        assert [len(one) for one in sent_to(server)] == [17, 9, 5, 3]
        assert sent_to(server)[-1][:-1] == history[14:]
        assert (reply.text, reply.left_out) == ("".join(ANSWER), 14)
        assert reply.notes == (say("say.turns_left_out_elsewhere", count=14, host=server.host),)


def test_numbers_that_are_wrong_do_not_go_round_in_circles(registry: Registry) -> None:
    """A server whose numbers promise too much is asked with less each time, and in the end with the message alone."""
    body = {"error": {"message": "maximum context length is 900 tokens, 901 in the messages"}}
    with FakeChatServer() as server:
        for _ in range(4):
            server.refuse(400, body)
        reply = chat(settings(server.name(), history=turns(4)), registry)
        assert [len(one) for one in sent_to(server)] == [9, 7, 5, 3, 1]
    assert reply.left_out == 8


def test_thoughts_are_not_sent_back(registry: Registry) -> None:
    """What a model thought before its earlier answers stays here; an answer that was nothing else is left out."""
    thoughts = [
        {"role": "user", "content": "<think> is a tag, isn't it?"},
        {"role": "assistant", "content": "<think>Is it?\nYes.</think>\n\nIt is, and so is </think>."},
        {"role": "user", "content": "And then?"},
        {"role": "assistant", "content": "<think>Let me see"},
    ]
    with FakeChatServer() as server:
        server.next(thoughts=("Hm.",), pieces=("Fine.",))
        reply = chat(settings(server.name(), history=thoughts), registry)
        again = chat(settings(server.name(), history=reply.result, message="Sure?"), registry)
        first, second = sent_to(server)
    assert reply.text == "<think>Hm.</think>Fine."
    assert first == [
        thoughts[0],
        {"role": "assistant", "content": "It is, and so is </think>."},
        {"role": "user", "content": "And then?\n\nAnd you?"},
    ]
    assert second == [*first, {"role": "assistant", "content": "Fine."}, {"role": "user", "content": "Sure?"}]
    assert [one.as_dict() for one in again.messages[:4]] == thoughts
    assert (reply.thought, again.thought) == (True, False)


def test_models_elsewhere_may_think_long(make_chat: MakeChat, registry: Registry) -> None:
    """More tokens may be asked for than most models here have room for; these refuse with their own number."""
    with FakeChatServer(context=100_000) as server:
        chat(settings(server.name(), max_new_tokens=MOST_NEW_TOKENS), registry)
        assert server.conversations[0].body["max_tokens"] == MOST_NEW_TOKENS > 4096
    with pytest.raises(InvalidInput) as caught:
        chat(settings(make_chat(CHATML), max_new_tokens=MOST_NEW_TOKENS), registry)
    assert caught.value.sentence.key == "error.no_room_for_prompt"
    with pytest.raises(InvalidInput):
        settings("", max_new_tokens=MOST_NEW_TOKENS + 1)


def test_a_message_too_long_elsewhere_is_refused(registry: Registry) -> None:
    """Once nothing is left to leave out, the server's words are told; too long an answer is refused at once."""
    with FakeChatServer(context=50) as server:
        with pytest.raises(InvalidInput, match="60 in the messages") as caught:
            chat(settings(server.name(), message="word " * 60, history=turns(3)), registry)
        assert caught.value.sentence.key == "error.remote_message_too_long"
        assert [len(one) for one in sent_to(server)] == [7, 1]
        with pytest.raises(InvalidInput) as caught:
            chat(settings(server.name(), history=turns(1), max_new_tokens=100), registry)
        assert caught.value.sentence.key == "error.remote_too_long"
        assert len(server.conversations) == 3


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_plays_no_part_is_named_once(make_chat: MakeChat, registry: Registry, elsewhere: bool) -> None:
    """Without do_sample the sampling settings and the seed that somebody chose are named, wherever the model runs."""
    chosen = {"temperature": 1.5, "top_k": 3, "top_p": 0.5}
    expected = say("say.sampling_unused", names="temperature, top_k, top_p, seed")
    with FakeChatServer() as server:
        model = server.name() if elsewhere else make_chat(CHATML)
        reply = chat(settings(model, seed=5, **chosen), registry)
        quiet = chat(settings(model), registry)
        sent = [one.body for one in server.conversations]
    assert reply.notes == (expected,)
    assert reply.provenance.fallbacks == (str(expected),)
    assert (quiet.notes, reply.provenance.seed, quiet.provenance.seed) == ((), None, None)
    assert all("seed" not in one and one["temperature"] == 0 for one in sent)


def test_a_seed_is_sent_elsewhere_and_told(registry: Registry) -> None:
    """With do_sample the seed travels, a drawn one, too, and nothing of the settings that count is named."""
    with FakeChatServer() as server:
        replies = [chat(settings(server.name(), do_sample=True, top_p=0.5, seed=seed), registry) for seed in (5, -1)]
        seeds = [one.body["seed"] for one in server.conversations]
    assert seeds == [reply.provenance.seed for reply in replies]
    assert seeds[0] == 5
    assert seeds[1] >= 0
    assert [reply.notes for reply in replies] == [(), ()]


def changed(field: dataclasses.Field[Any]) -> Any:
    """Return another value for a field of ChatSettings, near its default."""
    limits = field.metadata
    if field.name == "history":
        return BEFORE
    if field.type == "bool":
        return not field.default
    if "options" in limits:
        return next(one for one in limits["options"] if one != field.default)
    if "step" in limits:
        return field.default + (limits["step"] if field.default < limits["high"] else -limits["step"])
    return "else"


@pytest.mark.parametrize("field", dataclasses.fields(ChatSettings), ids=lambda field: field.name)
def test_every_setting_is_sent_elsewhere_or_named(field: dataclasses.Field[Any]) -> None:
    """A setting that is changed is among what is sent, or among what is told not to be; else it is refused."""
    usual = ChatSettings(message="Hi", model="m", num_beams=3)
    values = {"message": "Hi", "model": "m", "num_beams": 3, field.name: changed(field)}
    if field.name == "num_return_sequences":
        with pytest.raises(InvalidInput):
            ChatSettings(**values)
        return
    other = ChatSettings(**values)
    before, after = (RemoteOptions.of(one, one.seed) for one in (usual, other))
    ways = (
        before.parameters() != after.parameters(),
        usual.messages != other.messages,
        usual.model != other.model,
        before.others != after.others,
    )
    assert sum(ways) == 1
    assert (field.name in after.others) == ways[-1]


def test_beams_answer_at_once(make_chat: MakeChat, registry: Registry) -> None:
    """Beam search answers, too, and ends where the template's turns end."""
    reply = chat(settings(make_chat(CHATML), num_beams=3), registry)
    assert isinstance(reply, Reply)
    assert reply.new_tokens == 12


def test_thinking_may_begin_in_the_prompt(make_chat: MakeChat, registry: Registry) -> None:
    """A template that opens <think> for the model is noticed."""
    opening = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    assert chat(settings(make_chat(opening)), registry).opens_thinking
    assert not chat(settings(make_chat(CHATML)), registry).opens_thinking


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"message": "  "}, "error.text_empty"),
        ({"num_return_sequences": 2, "do_sample": True}, "error.chat_has_one_answer"),
        ({"history": [{"role": "system", "content": "a"}], "system_prompt": "b"}, "error.two_system_prompts"),
        ({"history": "nonsense"}, "error.history_no_list"),
        ({"temperature": 0.0}, "error.number_outside"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], key: str) -> None:
    """Settings that cannot be obeyed are a sentence."""
    with pytest.raises(InvalidInput) as caught:
        settings("", **options)
    assert caught.value.sentence.key == key


def test_a_result_is_the_next_history() -> None:
    """What one answer returns can be given as the history of the next question, system prompt included."""
    first = ChatSettings(message="Hi", system_prompt="Be kind.")
    history = [*(one.as_dict() for one in first.messages), {"role": "assistant", "content": "Hello!"}]
    again = ChatSettings(message="And you?", history=history, system_prompt="Be kind.")
    assert [one.role for one in again.messages] == ["system", "user", "assistant", "user"]
    assert again.messages == ChatSettings(message="And you?", history=history).messages
