"""A conversation that is kept: what is on disk after an answer, a stop, a refusal, an edit, and two pages at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from core.conversations.file import Conversation, Said
from core.conversations.store import Conversations
from core.errors import Busy, Cancelled, HubError, InvalidInput, UnknownName
from core.events import CancelToken
from core.messages import MOST_MESSAGES
from core.models.registry import Registry
from core.tasks.text.encoder import Lane
from core.tasks.text.kept_chat import Answered, Place, Talk
from tests.fakes.chat_server import ANSWER, FakeChatServer
from tests.fakes.models import tiny_chat

ADA = "a" * 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny chat model that reads 256 tokens."""
    return str(tiny_chat(tmp_path_factory.mktemp("model") / "chat"))


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    """Give a visitor without conversations."""
    return Talk(Conversations(tmp_path / "conversations"), ADA)


def values(model: str, **others: Any) -> dict[str, Any]:
    """Return settings for a short greedy answer."""
    return {"model": model, "max_new_tokens": 8, "do_sample": False, **others}


def roles(conversation: Conversation) -> list[str]:
    """Return who said something, in order."""
    return [one.role for one in conversation.said]


def at(place: int) -> Place:
    """Return the way to a place, whatever the conversation is by then."""
    return lambda _: place


def kept(talk: Talk, answered: Answered) -> Conversation:
    """Return what is on disk of the conversation."""
    return talk.store.read(ADA, answered.conversation.head.id)


def test_question_and_answer_are_kept(talk: Talk, model: str, registry: Registry) -> None:
    """The question is on disk before it is answered, the answer with model, seed and end after it."""
    seen: list[Conversation] = []
    turn = talk.say("", "Hi", values(model, do_sample=True, seed=3, system_prompt="Be kind."))
    answered = talk.answer(turn, registry, Lane(), began=lambda now: seen.append(talk.store.read(ADA, now.head.id)))
    assert roles(seen[0]) == ["user"]
    found = kept(talk, answered)
    assert found == answered.conversation
    assert found.system_prompt == "Be kind."
    answer = found.said[1]
    assert (answer.content, answer.model, answer.seed, answer.reason) == (answered.reply.text, model, 3, "length")
    assert (found.head.title, found.head.model) == ("Hi", model)
    again = talk.answer(talk.say(found.head.id, "And you?", values(model)), registry, Lane())
    assert roles(kept(talk, again)) == ["user", "assistant"] * 2
    assert [one.content for one in again.reply.messages] == ["Hi", answered.reply.text, "And you?"]


def test_retry_and_edit_cut(talk: Talk, model: str, registry: Registry) -> None:
    """Retry asks the same with a new seed; an edited question takes everything behind it away."""
    first = talk.answer(talk.say("", "One", values(model)), registry, Lane())
    id_ = first.conversation.head.id
    second = talk.answer(talk.say(id_, "Two", values(model)), registry, Lane())
    retried = talk.answer(talk.retry(id_, at(2), values(model, do_sample=True, seed=7)), registry, Lane())
    assert retried.settings.seed == -1
    assert roles(kept(talk, retried)) == roles(second.conversation)
    assert retried.conversation.said[:3] == second.conversation.said[:3]
    edited = talk.answer(talk.edit(id_, at(0), "Eins", values(model)), registry, Lane())
    assert [one.content for one in kept(talk, edited).said] == ["Eins", edited.reply.text]
    for place in (-1, 1, 2):
        with pytest.raises(InvalidInput) as caught:
            talk.answer(talk.retry(id_, at(place), values(model)), registry, Lane())
        assert caught.value.sentence.key == "error.conversation_changed"


def test_undo_takes_back(talk: Talk, model: str, registry: Registry) -> None:
    """Undo returns the question and what is left; with the first question the conversation goes."""
    first = talk.answer(talk.say("", "One", values(model)), registry, Lane())
    id_ = first.conversation.head.id
    talk.answer(talk.say(id_, "Two", values(model)), registry, Lane())
    left, message = talk.undo(id_, at(2))
    assert left is not None
    assert (message, left.said) == ("Two", first.conversation.said)
    assert talk.undo(id_, at(0)) == (None, "One")
    assert talk.store.heads(ADA) == []


def test_a_refusal_leaves_everything_as_it_was(talk: Talk, model: str, registry: Registry) -> None:
    """When no model answers, a new conversation never was, and an old one is what it was."""
    nobody = values("nobody/nothing")
    with pytest.raises(HubError):
        talk.answer(talk.say("", "Hi", nobody), registry, Lane())
    assert talk.store.heads(ADA) == []
    first = talk.answer(talk.say("", "One", values(model)), registry, Lane())
    id_ = first.conversation.head.id
    for turn in (talk.say(id_, "Two", nobody), talk.edit(id_, at(0), "Eins", nobody), talk.retry(id_, at(0), nobody)):
        with pytest.raises(HubError):
            talk.answer(turn, registry, Lane())
        assert talk.store.read(ADA, id_).said == first.conversation.said
    with pytest.raises(InvalidInput):
        talk.answer(talk.say(id_, "  ", values(model)), registry, Lane())
    assert talk.store.read(ADA, id_).said == first.conversation.said


def test_a_stop_keeps_what_was_written(talk: Talk, model: str, registry: Registry) -> None:
    """Stopped in the middle, the words so far are the answer; stopped before, the question has none."""
    cancel = CancelToken()
    turn = talk.say("", "Tell me all", values(model, max_new_tokens=200))
    answered = talk.answer(turn, registry, Lane(cancel=cancel), lambda text: len(text) > 3 and cancel.cancel())
    assert kept(talk, answered).said[1].reason == "stopped"
    assert kept(talk, answered).said[1].content == answered.reply.text != ""
    with pytest.raises(Cancelled):
        talk.answer(talk.say("", "Hi", values(model)), registry, Lane(cancel=cancel))
    assert roles(talk.store.read(ADA, talk.store.heads(ADA)[0].id)) == ["user"]


def test_whoever_stops_gets_the_answer(talk: Talk, model: str, registry: Registry) -> None:
    """A stop from another request waits until the answer is kept, and has it; meanwhile nobody else may write."""
    began = threading.Event()
    turn = talk.say("", "Tell me all", values(model, max_new_tokens=200))
    id_ = turn.id

    def told(text: str) -> None:
        if len(text) > 3:
            began.set()
            threading.Event().wait(0.02)

    working = threading.Thread(target=lambda: talk.answer(turn, registry, Lane(), told), daemon=True)
    working.start()
    assert began.wait(60)
    with pytest.raises(Busy):
        talk.answer(talk.say(id_, "Me, too", values(model)), registry, Lane())
    with pytest.raises(Busy):
        talk.undo(id_, at(0))
    stopped = talk.store.stop(ADA, id_)
    working.join(60)
    assert stopped is not None
    assert stopped.outcome.reply.reason == "stopped"
    assert talk.store.read(ADA, id_).said[1].content == stopped.outcome.reply.text


def test_what_was_deleted_stays_deleted(talk: Talk, model: str, registry: Registry) -> None:
    """An answer whose conversation was deleted meanwhile does not bring it back."""
    turn = talk.say("", "Hi", values(model))
    with pytest.raises(UnknownName):
        talk.answer(turn, registry, Lane(), began=lambda now: talk.store.drop(ADA, now.head.id))
    assert talk.store.heads(ADA) == []


def test_it_remembers_what_was_not_read(talk: Talk, model: str, registry: Registry) -> None:
    """The head says how many of the oldest messages the last answer left out; taking back takes that back."""
    id_ = talk.answer(talk.say("", "x" * 120, values(model)), registry, Lane()).conversation.head.id
    answered = talk.answer(talk.say(id_, "y" * 120, values(model)), registry, Lane())
    assert answered.conversation.head.left_out == answered.reply.left_out == 2
    assert kept(talk, answered).head.left_out == 2
    left, _ = talk.undo(id_, at(2))
    assert left is not None
    assert left.head.left_out <= 2
    edited = talk.answer(talk.edit(id_, at(0), "Hi", values(model)), registry, Lane())
    assert edited.conversation.head.left_out == 0


def test_it_remembers_what_was_not_read_elsewhere(talk: Talk, registry: Registry) -> None:
    """A conversation that a model elsewhere cannot read whole goes on without its oldest turns, and remembers it."""
    with FakeChatServer(context=40) as server:
        asked = {"model": server.name(), "max_new_tokens": 8}
        id_ = talk.answer(talk.say("", "word " * 20, asked), registry, Lane()).conversation.head.id
        answered = talk.answer(talk.say(id_, "word " * 20, asked), registry, Lane())
    assert answered.reply.text == "".join(ANSWER)
    assert kept(talk, answered).head.left_out == answered.reply.left_out == 2
    assert len(kept(talk, answered).said) == 4


def test_thoughts_that_began_in_the_prompt_stay_here(talk: Talk, registry: Registry) -> None:
    """An answer whose <think> stood in the prompt of a model of this machine is sent elsewhere without its thoughts."""
    begun = talk.store.begin(ADA, "Hi")
    thought = Said("assistant", "Who is it?</think>Hello.", opens_thinking=True)
    id_ = talk.store.keep(ADA, begun.with_said(Said("user", "Hi"), thought)).head.id
    with FakeChatServer() as server:
        answered = talk.answer(talk.say(id_, "And you?", {"model": server.name()}), registry, Lane())
        (heard,) = server.conversations
    assert [one["content"] for one in heard.body["messages"]] == ["Hi", "Hello.", "And you?"]
    assert kept(talk, answered).said[1] == thought


def test_another_pages_answer_is_never_lost(talk: Talk, model: str, registry: Registry) -> None:
    """What was begun before another page's answer was kept is said after it, and reads it."""
    id_ = talk.answer(talk.say("", "One", values(model)), registry, Lane()).conversation.head.id
    late, retried = talk.say(id_, "Three", values(model)), talk.retry(id_, at(2), values(model))
    other = talk.answer(talk.say(id_, "Two", values(model)), registry, Lane()).conversation
    answered = talk.answer(late, registry, Lane())
    assert kept(talk, answered).said[:4] == other.said
    assert [one.content for one in answered.reply.messages][:4] == [one.content for one in other.said]
    assert kept(talk, talk.answer(retried, registry, Lane())).said[:3] == other.said[:3]


def test_nobody_writes_between_reading_and_saving(talk: Talk, model: str, registry: Registry) -> None:
    """From where a page reads the conversation that it will change until it has changed it, other pages wait."""
    id_ = talk.answer(talk.say("", "One", values(model)), registry, Lane()).conversation.head.id
    refused: list[Busy] = []

    def another_page() -> None:
        with pytest.raises(Busy) as caught:
            talk.answer(talk.say(id_, "Me, too", values(model)), registry, Lane())
        refused.append(caught.value)

    def place(now: Conversation) -> int:
        other = threading.Thread(target=another_page)
        other.start()
        other.join()
        assert now == talk.store.read(ADA, id_)
        return 0

    talk.answer(talk.edit(id_, place, "Eins", values(model)), registry, Lane())
    talk.answer(talk.retry(id_, place, values(model)), registry, Lane())
    assert talk.undo(id_, place) == (None, "Eins")
    assert len(refused) == 3


def test_a_conversation_has_no_end(talk: Talk, model: str, registry: Registry) -> None:
    """Of more messages than a request may hold the newest are offered to the model, and all of them stay."""
    id_ = talk.answer(talk.say("", "One", values(model)), registry, Lane()).conversation.head.id
    whole = talk.store.read(ADA, id_)
    many = talk.store.save(ADA, whole.with_said(*whole.said * MOST_MESSAGES))
    answered = talk.answer(talk.say(id_, "Two", values(model)), registry, Lane())
    found = kept(talk, answered)
    assert found.said[:-2] == many.said
    assert len(answered.settings.history) == MOST_MESSAGES
    assert found.head.left_out == len(many.said) - MOST_MESSAGES + answered.reply.left_out > MOST_MESSAGES
    assert answered.reply.given is not None
    assert len(answered.reply.given.read) == len(found.said) - 1 - found.head.left_out
    again = talk.answer(talk.retry(id_, at(len(many.said)), values(model)), registry, Lane())
    assert kept(talk, again).said[:-1] == found.said[:-1]
