"""Conversations with a model elsewhere, the real client over real HTTP: what is sent, what comes, how it ends."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from core.catalogue import Catalogue, ModelSpec
from core.errors import Cancelled, InvalidInput, NotAModel, RemoteMissing, RemoteUnreachable
from core.events import CancelToken
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.remote.chat import Patience, RemoteAnswer, RemoteOptions, stream_chat
from core.settings import Settings
from core.tasks.text.sampling import GenerationOptions
from core.words import say
from tests.fakes.chat_server import ANSWER, FINGERPRINT, MODEL, FakeChatServer
from tests.serving import until

MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What do bridges do?"})
WHOLE = "".join(ANSWER)
SOON = 5.0
"""Seconds within which a machine under load does what takes a moment; what breaks here would take minutes."""


def spec_of(name: str) -> ModelSpec:
    """Return what this name means on one's own machine."""
    return Catalogue(Settings()).resolve(name, "chat")


def ask(
    server: FakeChatServer,
    told: Callable[[str], None] = lambda _: None,
    cancel: CancelToken | None = None,
    patience: Patience | None = None,
    **options: Any,
) -> RemoteAnswer:
    """Have the conversation with this server's first model."""
    asked = RemoteOptions(**options)
    return stream_chat(
        spec_of(server.name()), MESSAGES, asked, cancel or CancelToken(), told, patience or Patience(SOON, SOON)
    )


def test_an_answer_comes_piece_by_piece(chat_server: FakeChatServer) -> None:
    """The whole text so far is told after each piece; the answer has the server's count, name and fingerprint."""
    told: list[str] = []
    answer = ask(chat_server, told.append)
    assert told == ["".join(ANSWER[:count]) for count in range(1, len(ANSWER) + 1)]
    assert (answer.text, answer.reason, answer.notes) == (WHOLE, "eos", ())
    assert answer.new_tokens == len(ANSWER)
    assert (answer.model, answer.revision, answer.device) == (MODEL, FINGERPRINT, f"remote: {chat_server.host}")
    assert 0 < answer.first_token_seconds <= answer.seconds


def test_provenance_says_who_answered(chat_server: FakeChatServer) -> None:
    """Provenance names model, place and seed; what the server does not tell is unknown, and notes are fallbacks."""
    answer = ask(chat_server, seed=7, others={"top_k": 5})
    found = answer.provenance().as_dict()
    assert (found["model"], found["revision"], found["adapter"]) == (MODEL, FINGERPRINT, None)
    assert (found["device"], found["dtype"], found["attention"]) == (
        f"remote: {chat_server.host}",
        "unknown",
        "unknown",
    )
    assert (found["seed"], found["seconds"]) == (7, round(answer.seconds, 4))
    assert found["fallbacks"] == [str(note) for note in answer.notes] != []


def test_what_is_sent(chat_server: FakeChatServer) -> None:
    """Settings travel under the protocol's names, and what is not set is not sent."""
    ask(
        chat_server,
        max_new_tokens=9,
        temperature=0.5,
        top_p=0.9,
        seed=3,
        stop=("\n\n", "END"),
    )
    ask(chat_server)
    first, second = (one.body for one in chat_server.conversations)
    always = {
        "model": MODEL,
        "messages": list(MESSAGES),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    chosen = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["\n\n", "END"]}
    assert first == always | chosen
    assert second == always


def test_greedy_is_temperature_zero(chat_server: FakeChatServer) -> None:
    """Without sampling the temperature is 0, nothing is drawn, and no seed counts."""
    answer = ask(chat_server, do_sample=False, temperature=0.8, top_p=0.9, seed=3)
    sent = chat_server.conversations[0].body
    assert sent["temperature"] == 0
    assert "top_p" not in sent
    assert answer.seed is None


def test_settings_of_ours_become_the_protocols() -> None:
    """A settings object gives what the protocol can say; what it cannot counts where it differs from its default."""
    settings = GenerationOptions(max_new_tokens=5, temperature=0.3, top_k=7, min_p=0.1, stop="a\n\\n", dtype="float32")
    options = RemoteOptions.of(settings, seed=11)
    assert options == RemoteOptions(
        max_new_tokens=5,
        do_sample=True,
        temperature=0.3,
        top_p=0.95,
        seed=11,
        stop=("a", "\n"),
        others={"top_k": 7, "min_p": 0.1, "dtype": "float32"},
    )
    assert RemoteOptions.of(GenerationOptions()).others == {}


def test_what_cannot_be_sent_is_told(chat_server: FakeChatServer) -> None:
    """A setting that the protocol lacks is not sent and not silently dropped."""
    answer = ask(chat_server, others={"top_k": 5, "num_beams": 3})
    assert answer.notes == (say("say.remote_left_out", names="top_k, num_beams", host=chat_server.host),)
    assert {"top_k", "num_beams"} & set(chat_server.conversations[0].body) == set()


@pytest.mark.parametrize(
    ("turn", "options", "text", "reason"),
    [
        ({}, {"max_new_tokens": 2}, "Bridges carry", "length"),
        ({"finish": "eos_token"}, {}, WHOLE, "eos"),
        ({"finish": "stop_sequence"}, {}, WHOLE, "stop"),
        ({"finish": "max_tokens"}, {}, WHOLE, "length"),
    ],
)
def test_why_it_ended(
    chat_server: FakeChatServer, turn: Mapping[str, Any], options: Mapping[str, Any], text: str, reason: str
) -> None:
    """The words of several servers for the end become ours."""
    chat_server.next(**turn)
    answer = ask(chat_server, **options)
    assert (answer.text, answer.reason, answer.notes) == (text, reason, ())


def test_a_stop_string_that_the_server_names(chat_server: FakeChatServer) -> None:
    """Where the server says beside "stop" which string it was, the answer ended by a stop string."""
    chat_server.next(stop_reason="people")
    assert ask(chat_server, stop=("people",)).reason == "stop"


def test_an_unusual_end_is_told(chat_server: FakeChatServer) -> None:
    """An end that we have no word for is quoted."""
    chat_server.next(finish="content_filter")
    answer = ask(chat_server)
    assert (answer.reason, answer.notes) == ("stop", (say("say.remote_ended", finish="content_filter"),))


def test_an_answer_that_comes_as_a_whole(chat_server: FakeChatServer) -> None:
    """A server that does not stream is understood: one piece, the same answer."""
    told: list[str] = []
    chat_server.next(stream=False)
    answer = ask(chat_server, told.append)
    assert told == [WHOLE]
    assert (answer.text, answer.reason, answer.new_tokens) == (WHOLE, "eos", len(ANSWER))


def test_a_server_that_does_not_count(chat_server: FakeChatServer) -> None:
    """Without the server's count there are no numbers, rather than guessed ones."""
    chat_server.next(usage=False)
    answer = ask(chat_server)
    assert (answer.text, answer.new_tokens) == (WHOLE, None)


@pytest.mark.parametrize(
    ("complaint", "lost", "instead"),
    [
        ("Unknown field: stream_options", "stream_options", {}),
        ("Use 'max_completion_tokens' instead of 'max_tokens'.", "max_tokens", {"max_completion_tokens": 3}),
    ],
)
def test_older_and_newer_servers(
    chat_server: FakeChatServer, complaint: str, lost: str, instead: Mapping[str, Any]
) -> None:
    """A server that does not know what we ask by itself, or calls it otherwise, is asked once more."""
    chat_server.refuse(400, {"error": {"message": complaint}})
    assert ask(chat_server, max_new_tokens=3).text == "Bridges carry people"
    first, second = (one.body for one in chat_server.conversations)
    assert lost in first
    assert second == {name: value for name, value in first.items() if name != lost} | instead


def test_signs_that_look_like_line_ends(chat_server: FakeChatServer) -> None:
    """A text may hold any sign, also those that Python takes for line ends; keep-alive comments are not text."""
    pieces = ("a\u2028b", "\x85\x1c", "c\r\n", "😀")
    chat_server.next(pieces=pieces)
    assert ask(chat_server).text == "".join(pieces)


def test_a_stream_without_blanks(chat_server: FakeChatServer) -> None:
    """The blank after "data:" is optional, and so is a line end after the last event."""
    event = b'data:{"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\r\n\r\ndata:[DONE]'
    chat_server.next(raw=event)
    answer = ask(chat_server)
    assert (answer.text, answer.reason, answer.model) == ("Hi", "eos", MODEL)


def test_text_in_parts(chat_server: FakeChatServer) -> None:
    """A content that is a list of parts is read as the text of its parts."""
    delta = b'{"content":[{"type":"text","text":"Hi"},{"type":"text","text":" you"}]}'
    chat_server.next(raw=b'data: {"choices":[{"delta":' + delta + b"}]}\n\ndata: [DONE]\n\n")
    assert ask(chat_server).text == "Hi you"


def test_thoughts_stand_in_front(chat_server: FakeChatServer) -> None:
    """What a server tells apart as reasoning is put back in front of the answer, as models write it."""
    told: list[str] = []
    chat_server.next(thoughts=("They", " span."), pieces=("Carry", " people."))
    answer = ask(chat_server, told.append)
    assert told == [
        "<think>They",
        "<think>They span.",
        "<think>They span.</think>Carry",
        "<think>They span.</think>Carry people.",
    ]
    assert answer.text == told[-1]


def test_the_only_model_needs_no_name(chat_server: FakeChatServer) -> None:
    """An address alone means the server's model, if it has one only."""
    answer = stream_chat(spec_of(chat_server.base), MESSAGES, RemoteOptions(), CancelToken(), lambda _: None)
    assert answer.model == MODEL
    assert [one.path for one in chat_server.heard] == ["/v1/models", "/v1/chat/completions"]


def test_of_several_models_one_must_be_named() -> None:
    """An address alone is refused where there are several models, with their names, and nothing is said to any."""
    with FakeChatServer("one", "org/two") as server:
        with pytest.raises(InvalidInput, match="one, org/two"):
            stream_chat(spec_of(server.base), MESSAGES, RemoteOptions(), CancelToken(), lambda _: None)
        assert server.conversations == []


def test_an_unknown_model_lists_the_known_ones() -> None:
    """A model that is not there is refused with those that are; of very many, the first twenty."""
    with FakeChatServer(*(f"model-{number:02}" for number in range(30))) as server:
        with pytest.raises(RemoteMissing) as refusal:
            stream_chat(spec_of(f"{server.base}#gone"), MESSAGES, RemoteOptions(), CancelToken(), lambda _: None)
        told = str(refusal.value)
        assert all(part in told for part in ("“gone”", "model-00", "model-19 and 10 more"))
        assert "model-20" not in told


def test_another_model_than_asked_is_told(chat_server: FakeChatServer) -> None:
    """What answered is what the server says; if that is not what was asked for, a note says so."""
    event = b'data: {"model":"other-7b","choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'
    chat_server.next(raw=event)
    answer = ask(chat_server)
    assert answer.provenance().model == "other-7b"
    assert answer.notes == (say("say.remote_other_model", asked=MODEL, answered="other-7b"),)


@pytest.mark.parametrize("pieces", [-1, 0, 2])
def test_cancel_closes_the_connection(chat_server: FakeChatServer, pieces: int) -> None:
    """A stop ends it at once and the server sees the connection close: before any answer, before and after words."""
    turn, cancel, told = chat_server.next(hold_after=pieces), CancelToken(), []

    def cancel_once_told() -> None:
        turn.held.wait(SOON)
        until(lambda: len(told) == max(pieces, 0))
        cancel.cancel()

    threading.Thread(target=cancel_once_told).start()
    with pytest.raises(Cancelled):
        ask(chat_server, told.append, cancel)
    assert turn.gone.wait(SOON)
    assert len(told) == max(pieces, 0)


def test_a_stop_before_the_beginning(chat_server: FakeChatServer) -> None:
    """What was stopped before it began asks nobody."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        ask(chat_server, cancel=cancel)
    assert chat_server.heard == []


def test_a_listener_that_fails_closes_the_connection(chat_server: FakeChatServer) -> None:
    """If whoever listens raises, that is what is raised, and the server may stop writing."""
    turn = chat_server.next(hold_after=1)

    def told(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(chat_server, told)
    assert turn.gone.wait(SOON)


@pytest.mark.parametrize("how", ["cut_after", "fail_after"])
def test_what_was_written_before_it_broke_is_kept(chat_server: FakeChatServer, how: str) -> None:
    """An answer that breaks off in the middle is kept as far as it came, and a note says that it is not whole."""
    chat_server.next(**{how: 3})
    answer = ask(chat_server)
    assert (answer.text, answer.reason) == ("Bridges carry people", "cut")
    assert "20 characters" in str(answer.notes[0])
    assert ("CUDA out of memory" in str(answer.notes[0])) == (how == "fail_after")
    assert answer.provenance().fallbacks == (str(answer.notes[0]),)


def test_a_server_that_falls_silent(chat_server: FakeChatServer) -> None:
    """After too long a silence the connection is closed, and what was written until then is kept."""
    turn = chat_server.next(hold_after=2)
    answer = ask(chat_server, patience=Patience(SOON, 0.2))
    assert (answer.text, answer.reason) == ("Bridges carry", "cut")
    assert "0.2 seconds" in str(answer.notes[0])
    assert turn.gone.wait(SOON)


@pytest.mark.parametrize("turn", [{"cut_after": 0}, {"raw": b""}])
def test_a_connection_that_breaks_before_the_first_word(chat_server: FakeChatServer, turn: Mapping[str, Any]) -> None:
    """What breaks before anything was written is an error in words."""
    chat_server.next(**turn)
    with pytest.raises(RemoteUnreachable, match="broke"):
        ask(chat_server)


def test_no_first_word(chat_server: FakeChatServer) -> None:
    """A server that says nothing at all is given up after the patience for a first word."""
    turn = chat_server.next(hold_after=-1)
    with pytest.raises(RemoteUnreachable, match=r"nothing for 0\.2 seconds"):
        ask(chat_server, patience=Patience(0.2, SOON))
    assert turn.gone.wait(SOON)


def test_a_lost_count_is_no_cut(chat_server: FakeChatServer) -> None:
    """Once the server has said why it ended, the answer is whole, even if its last event gets lost."""
    chat_server.next(cut_after=len(ANSWER) + 1)
    answer = ask(chat_server)
    assert (answer.text, answer.reason, answer.new_tokens, answer.notes) == (WHOLE, "eos", None, ())


@pytest.mark.parametrize("name", ["http://gpu-box:8000/v1#my-model", "hf-inference:org/model"])
def test_there_is_nothing_to_load(name: str) -> None:
    """A model elsewhere is neither lent nor planned by the registry, which says so in words."""
    catalogue = Catalogue(Settings())
    registry = Registry(catalogue, Loader(catalogue, Hub(offline=True)))
    with pytest.raises(NotAModel, match="runs on another machine"), registry.borrow(spec_of(name)):
        pytest.fail("nothing can be lent")
    with pytest.raises(NotAModel, match=re.escape(name)):
        registry.forecast(spec_of(name))


def test_no_thread_stays(chat_server: FakeChatServer) -> None:
    """Neither a whole conversation nor a stopped one leaves a thread behind."""
    ask(chat_server)
    turn, cancel = chat_server.next(hold_after=1), CancelToken()
    threading.Thread(target=lambda: turn.held.wait(SOON) and cancel.cancel()).start()
    with pytest.raises(Cancelled):
        ask(chat_server, cancel=cancel)
    end = time.monotonic() + SOON
    while any(one.name == "remote-chat" for one in threading.enumerate()) and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert not [one for one in threading.enumerate() if one.name == "remote-chat"]
