"""From a handler to the page: results, progress, refusals, bugs and leaving."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from core.errors import Cancelled, InvalidInput
from core.events import Progress
from core.words import LANGUAGES, dictionary, say
from tabs._events import Refusal, Visit, _direct, _following, _watching, in_words
from tests.asynchronous import run

REQUEST = SimpleNamespace(
    cookies={"atelier_language": "ko"}, headers={"host": "here:1", "x-forwarded-proto": "https"}, session_hash="s"
)


def all_of(event: AsyncGenerator[Any]) -> list[Any]:
    """Run an event to its end, as Gradio does, and return what it yields."""

    async def collect() -> list[Any]:
        return [shown async for shown in event]

    return run(collect())


def refuse(_: Visit, **__: Any) -> None:
    """Refuse."""
    raise InvalidInput("error.no_job")


def test_our_refusals_speak_the_visitors_language() -> None:
    """A refusal becomes a dialog with our sentence in the visitor's language, and stays until it is closed."""
    for wrap in (_direct(refuse), lambda request: all_of(_following(refuse)(request, _silent))):
        with pytest.raises(gr.Error) as caught:
            wrap(REQUEST)
        assert caught.value.message == dictionary("ko")["error.no_job"]
        assert caught.value.duration is None


def test_a_bug_is_logged_and_called_one(caplog: pytest.LogCaptureFixture) -> None:
    """Any other exception keeps its details for the log; the dialog names its kind only."""
    with caplog.at_level(logging.ERROR):
        dialog = in_words(RuntimeError("/secret/path"), "en")
    assert dialog.message == str(say("error.bug", kind="RuntimeError"))
    assert "/secret/path" in caplog.text


def test_a_stop_is_no_failure() -> None:
    """What somebody asked to stop says so, and goes away by itself."""
    assert in_words(Cancelled("error.cancelled"), "en").duration == 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dialogs_title_is_in_the_visitors_language(language: str, caplog: pytest.LogCaptureFixture) -> None:
    """A stop, a refusal and a bug of ours are each told apart above the sentence, in the words of the page."""
    problems = (Cancelled("error.cancelled"), InvalidInput("error.no_job"), RuntimeError("odd"))
    titles = [in_words(problem, language).title for problem in problems]
    assert titles == [dictionary(language)[f"say.title_{kind}"] for kind in ("stopped", "refused", "bug")]
    assert "A bug" in caplog.text


def test_progress_and_result_pass_in_order() -> None:
    """Progress reaches the bar, then the result reaches the page."""
    told: list[Any] = []

    def handler(visit: Visit, text: str) -> str:
        visit.report(Progress("rows", 1, 4, 1.0))
        told.append("worked")
        return text + "!"

    event = _following(handler)
    assert all_of(event(REQUEST, lambda share, **_: told.append(share), text="done")) == ["done!"]
    assert sorted(told, key=str) == [(1, 4), "worked"]


def test_unfinished_work_is_shown_before_the_result() -> None:
    """What a handler shows on its way reaches the page before the result; what comes too fast is left out."""

    def handler(visit: Visit) -> str:
        for step in range(50):
            visit.show(f"{step} so far")
        return "all"

    shown = all_of(_following(handler)(REQUEST, _silent))
    assert (shown[0], shown[-1]) == ("0 so far", "all")
    assert len(shown) < 10


def test_loading_is_told_without_a_share() -> None:
    """Where nobody knows how long it takes, the words stand there in the visitor's language, with nothing counted."""
    told: list[Any] = []

    def handler(visit: Visit) -> str:
        visit.report(Progress("load", 0, 0))
        return "done"

    event = _following(handler)(REQUEST, lambda share, desc, **_: told.append((share, desc)))
    assert all_of(event) == ["done"]
    assert told == [(0.0, dictionary("ko")["say.phase_load"])]


def test_leaving_cancels_the_work() -> None:
    """When Gradio cancels the event, the handler's token is cancelled, though it has shown nothing yet."""
    begun, over = threading.Event(), threading.Event()

    def handler(visit: Visit) -> None:
        begun.set()
        while not visit.cancel.cancelled:
            threading.Event().wait(0.01)
        over.set()

    async def leave() -> None:
        waiting = asyncio.ensure_future(anext(_following(handler)(REQUEST, _silent)))
        await asyncio.to_thread(begun.wait, 20)
        waiting.cancel()
        await asyncio.wait([waiting])

    run(leave())
    assert over.wait(20)


def test_work_that_exits_is_a_bug_too() -> None:
    """Even an exception that is no Exception ends the waiting."""

    def handler(_: Visit) -> None:
        raise SystemExit(3)

    with pytest.raises(gr.Error) as caught:
        all_of(_following(handler)(REQUEST, _silent))
    assert "SystemExit" in caught.value.message


def test_watching_passes_values_and_refusals() -> None:
    """A generator handler's values pass one by one, None is waited for, and a refusal leaves them and is a dialog."""
    shown: list[int] = []

    def handler(_: Visit) -> Any:
        yield 1
        yield None
        yield 2
        raise InvalidInput("error.no_job")

    async def watch() -> None:
        running = _watching(handler)(REQUEST)
        while True:
            shown.append(await anext(running))

    with pytest.raises(gr.Error):
        run(watch())
    assert shown == [1, 2]


def test_the_address_is_the_visitors() -> None:
    """The code panel's curl names the host that the visitor asked, behind a proxy, too."""
    assert _direct(lambda visit: visit.address)(REQUEST) == "https://here:1"


def test_an_event_is_called_and_described_like_its_handler() -> None:
    """Name and docstring are the handler's: they are the API's."""
    event = _following(refuse)
    assert (event.__name__, event.__doc__) == ("refuse", "Refuse.")


def seen_before_the_refusal(event: AsyncGenerator[Any]) -> list[Any]:
    """Return what an event yields until it refuses."""
    shown: list[Any] = []

    async def collect() -> None:
        while True:
            shown.append(await anext(event))

    with pytest.raises(gr.Error):
        run(collect())
    return shown


def test_a_refusal_empties_the_result() -> None:
    """Before a refusal the outputs go back to what a fresh page shows; a box for typing is left alone."""
    outputs = [gr.HTML("<p>Press Run.</p>", render=False), gr.JSON(render=False), gr.Textbox("job 7", render=False)]

    emptied = ("<p>Press Run.</p>", None, gr.skip())
    assert seen_before_the_refusal(_following(refuse, outputs)(REQUEST, _silent)) == [emptied]
    assert seen_before_the_refusal(_following(refuse, outputs[:1])(REQUEST, _silent)) == ["<p>Press Run.</p>"]


def test_a_refusal_may_say_what_stands_beside_it() -> None:
    """A handler that knows better than a fresh page says what the outputs show; the dialog is the same."""
    outputs = [gr.HTML("<p>Press Run.</p>", render=False)]

    def handler(_: Visit) -> None:
        raise Refusal(InvalidInput("error.no_job"), "what was there")

    assert seen_before_the_refusal(_following(handler, outputs)(REQUEST, _silent)) == ["what was there"]
    with pytest.raises(gr.Error) as caught:
        all_of(_following(handler, outputs)(REQUEST, _silent))
    assert caught.value.message == dictionary("ko")["error.no_job"]


def test_an_event_tells_what_it_was() -> None:
    """A handler hears what the event says of itself; one that was called from outside says nothing."""
    data = gr.EventData(None, {"index": 3, "value": "new"})
    assert _direct(lambda visit: visit.told)(REQUEST, data) == {"index": 3, "value": "new"}
    assert _direct(lambda visit: visit.told)(REQUEST) == {}
    assert all_of(_following(lambda visit: visit.told["index"])(REQUEST, _silent, data)) == [3]


def _silent(*_: Any, **__: Any) -> None:
    """Stand in for Gradio's progress bar."""
