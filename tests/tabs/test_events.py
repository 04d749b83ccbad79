"""From a handler to the page: results, progress, refusals, bugs and leaving."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from core.errors import Cancelled, InvalidInput
from core.events import Progress
from core.words import dictionary, say
from tabs._events import Showing, Visit, _direct, _following, _watching, in_progress, in_words

REQUEST = SimpleNamespace(
    cookies={"atelier_language": "ko"}, headers={"host": "here:1", "x-forwarded-proto": "https"}, session_hash="s"
)


def refuse(_: Visit, **__: Any) -> None:
    """Refuse."""
    raise InvalidInput("error.no_job")


def test_our_refusals_speak_the_visitors_language() -> None:
    """A refusal becomes a dialog with our sentence in the visitor's language, and stays until it is closed."""
    for wrap in (_direct(refuse), lambda request: list(_following(refuse)(request, _silent))):
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


def test_progress_and_results_pass_in_order() -> None:
    """Progress reaches the bar, what is shown before the end reaches the page, then the result."""
    told: list[Any] = []

    def handler(visit: Visit, text: str) -> str:
        visit.report(Progress("rows", 1, 4, 1.0))
        visit.report(Showing("half"))
        return text + "!"

    event = _following(handler)
    assert list(event(REQUEST, lambda share, **_: told.append(share), text="done")) == ["half", "done!"]
    assert told == [(1, 4)]


def test_leaving_cancels_the_work() -> None:
    """When the page closes, the handler's token is cancelled."""
    seen, over = threading.Event(), threading.Event()

    def handler(visit: Visit) -> None:
        visit.report(Showing("started"))
        seen.wait(20)
        if visit.cancel.cancelled:
            over.set()

    running = _following(handler)(REQUEST, _silent)
    assert next(running) == "started"
    running.close()
    seen.set()
    assert over.wait(20)


def test_watching_runs_in_place() -> None:
    """A generator handler's values pass one by one, and its refusal becomes a dialog."""

    def handler(_: Visit) -> Any:
        yield 1
        raise InvalidInput("error.no_job")

    running = _watching(handler)(REQUEST)
    assert next(running) == 1
    with pytest.raises(gr.Error):
        next(running)


def test_the_address_is_the_visitors() -> None:
    """The code panel's curl names the host that the visitor asked, behind a proxy, too."""
    assert _direct(lambda visit: visit.address)(REQUEST) == "https://here:1"


def test_an_event_is_called_and_described_like_its_handler() -> None:
    """Name and docstring are the handler's: they are the API's."""
    event = _following(refuse)
    assert (event.__name__, event.__doc__) == ("refuse", "Refuse.")


def test_remaining_time_is_told_once_it_is_known() -> None:
    """A progress sentence has rate and remaining seconds only when both can be computed."""
    assert in_progress(Progress("load", 0, 0, 0.0)).key == "say.phase_load"
    assert "about 3 s" in str(in_progress(Progress("rows", 1, 4, 1.0)))


def _silent(*_: Any, **__: Any) -> None:
    """Stand in for Gradio's progress bar."""
