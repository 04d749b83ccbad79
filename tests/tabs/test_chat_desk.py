"""The handlers of the Chat tab, as anybody may call them: a visitor reaches their own conversations, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.atelier import open_atelier
from core.errors import AtelierError, InvalidInput, UnknownName
from core.settings import Settings
from tabs._chat_desk import Desk, Screen
from tabs._chat_view import harmless
from tabs._events import Refusal, Visit
from tests.fakes.models import tiny_chat

ADA, BOB = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give a tiny chat model, and what else the page sends."""
    folder = tmp_path_factory.mktemp("model") / "chat"
    return {"model": str(tiny_chat(folder)), "system_prompt": "", "max_new_tokens": 8, "do_sample": False}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give the handlers of an instance without conversations."""
    return Desk(open_atelier(Settings(home=tmp_path)))


def screen(shown: tuple[Any, ...]) -> Screen:
    """Name what a handler returned."""
    return Screen(*shown)


def begun(desk: Desk, values: dict[str, Any], text: str = "Hi <b>") -> Screen:
    """Let Ada have a conversation of one question."""
    return screen(desk.send(Visit(visitor=ADA), "", text, **values))


def refused(attempt: Callable[[], Any]) -> AtelierError:
    """Return the error that an attempt ends with, whatever it shows beside it."""
    with pytest.raises((Refusal, AtelierError)) as caught:
        attempt()
    problem = caught.value.problem if isinstance(caught.value, Refusal) else caught.value
    assert isinstance(problem, AtelierError)
    return problem


def pressed(visitor: str, index: int, text: str, **more: Any) -> Visit:
    """Return a visit that pressed a button beside the message at `index`."""
    return Visit(visitor=visitor, told={"index": index, "value": harmless(text), **more})


def test_a_stranger_gets_nowhere(desk: Desk, values: dict[str, Any]) -> None:
    """Whoever knows the id of another visitor's conversation is told that there is none, whatever they try."""
    id_ = begun(desk, values).current
    stranger = Visit(visitor=BOB, told={"value": id_})
    pressing = pressed(BOB, 0, "Hi <b>", previous_value=harmless("Hi <b>"))
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: desk.open(stranger),
        lambda: desk.send(stranger, id_, "Me, too", **values),
        lambda: desk.retry(pressing, id_, **values),
        lambda: desk.edit(pressing, id_, **values),
        lambda: desk.undo(pressing, id_),
        lambda: desk.rename(stranger, id_, "mine"),
        lambda: desk.files(stranger, id_),
        lambda: desk.delete(stranger, id_),
    )
    for attempt in attempts:
        problem = refused(attempt)
        assert isinstance(problem, UnknownName)
        assert problem.sentence.key == "error.conversation_unknown"
    assert screen(desk.stop(stranger, id_)).conversation == Screen().conversation
    assert screen(desk.load(stranger)).conversation == []
    assert screen(desk.load(stranger)).conversations.choices == []
    assert len(screen(desk.load(Visit(visitor=ADA))).conversation) == 2


def test_what_is_shown_is_what_was_said(desk: Desk, values: dict[str, Any]) -> None:
    """A sent message is answered and listed; the next one goes on in the same conversation."""
    first = begun(desk, values)
    assert [one["role"] for one in first.conversation] == ["user", "assistant"]
    assert first.conversations.choices == [("Hi <b>", first.current)]
    assert first.provenance["model"] == values["model"]
    assert "```python" in first.snippets
    second = screen(desk.send(Visit(visitor=ADA), first.current, "And you?", **values))
    assert [one["content"] for one in second.result[0]["generated_text"]][::2] == ["Hi <b>", "And you?"]
    shown = screen(desk.undo(pressed(ADA, 2, "And you?"), first.current))
    assert (shown.message, len(shown.conversation)) == ("And you?", 2)


def test_buttons_know_their_message(desk: Desk, values: dict[str, Any]) -> None:
    """A button beside a message that has changed meanwhile, or beside none, changes nothing."""
    id_ = begun(desk, values).current
    for visit in (
        pressed(ADA, 0, "Other words"),
        pressed(ADA, 1, "Hi <b>"),
        pressed(ADA, 9, "Hi <b>"),
        Visit(visitor=ADA),
    ):
        for attempt in (
            lambda visit=visit: desk.retry(visit, id_, **values),
            lambda visit=visit: desk.undo(visit, id_),
        ):
            problem = refused(attempt)
            assert isinstance(problem, InvalidInput)
            assert problem.sentence.key == "error.conversation_changed"
    edited = pressed(ADA, 0, "Bye <i>", previous_value=harmless("Hi <b>"))
    assert screen(desk.edit(edited, id_, **values)).result[0]["generated_text"][0]["content"] == "Bye <i>"
    assert screen(desk.retry(pressed(ADA, 0, "Bye <i>"), id_, **values)).current == id_


@pytest.mark.parametrize("told", [{}, {"value": None}, {"value": "x"}, {"value": {"text": 7}}, {"index": "x"}])
def test_what_an_event_tells_may_be_anything(desk: Desk, values: dict[str, Any], told: dict[str, Any]) -> None:
    """Whoever calls without a page, or with nonsense, is refused in words or answered, and breaks nothing."""
    visit = Visit(visitor=ADA, told=told)
    assert isinstance(refused(lambda: desk.open(visit)), UnknownName)
    assert isinstance(refused(lambda: desk.undo(visit, "0" * 32)), UnknownName)
    if told.get("value") == {"text": 7}:
        assert screen(desk.example(visit, **values)).result[0]["generated_text"][0]["content"] == "7"
    else:
        assert refused(lambda: desk.example(visit, **values)).sentence.key == "error.text_empty"


def test_a_refusal_gives_the_message_back(desk: Desk, values: dict[str, Any]) -> None:
    """Beside a refusal stands the conversation as it is kept, and the message is in the box again."""
    id_ = begun(desk, values).current
    with pytest.raises(Refusal) as caught:
        desk.send(Visit(visitor=ADA), id_, "And you?", **{**values, "model": "nobody/nothing"})
    shown = screen(caught.value.shown)
    assert (shown.message, len(shown.conversation), shown.current) == ("And you?", 2, id_)
    assert shown.model == Screen().model
    with pytest.raises(Refusal) as caught:
        desk.send(Visit(visitor=ADA), "", "Hi", **{**values, "model": "nobody/nothing"})
    assert screen(caught.value.shown).message == "Hi"
    assert [head.id for head in desk.atelier.conversations.heads(ADA)] == [id_]


@pytest.mark.parametrize("name", ["rename", "delete", "files"])
def test_without_a_conversation_there_is_nothing_to_do(desk: Desk, name: str) -> None:
    """What needs an open conversation says so."""
    arguments = {"title": "x"} if name == "rename" else {}
    problem = refused(lambda: getattr(desk, name)(Visit(visitor=ADA), "", **arguments))
    assert problem.sentence.key == "error.no_conversation"


def test_an_opened_conversation_brings_its_settings(desk: Desk, values: dict[str, Any]) -> None:
    """Opening sets the model and the system prompt that it was had with; a new one keeps what is chosen."""
    id_ = begun(desk, {**values, "system_prompt": "Be kind."}).current
    shown = screen(desk.new(Visit(visitor=ADA)))
    assert (shown.current, shown.conversation, shown.system_prompt) == ("", [], Screen().system_prompt)
    assert screen(desk.load(Visit(visitor=ADA))).current == ""
    shown = screen(desk.open(Visit(visitor=ADA, told={"value": id_})))
    assert (shown.system_prompt, shown.model) == ("Be kind.", values["model"])
    assert screen(desk.load(Visit(visitor=ADA))).current == id_
