"""From a click to a handler and back: one wrapper for errors, language, progress and cancelling.

A handler is `def _classify(visit, **values)`: settings in, core call, show out. It runs in a thread of its own while
an async generator waits for it, for two reasons measured in Gradio: it cancels an async generator at any moment, but
a plain one only between two yields; and plain generators hop threads, so no torch context may span one of their yields.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
from anyio import to_thread
from gradio.components import FormComponent
from gradio.context import LocalContext

from core.errors import AtelierError, Busy, Cancelled
from core.events import CancelToken, Progress
from core.words import Sentence, say
from tabs._language import language_of
from tabs._views import IN_BYTES, in_progress
from tabs._visitor import visitor_of

log = logging.getLogger("atelier")


@dataclass(frozen=True)
class Lane:
    """Requests that wait for each other, and for no others."""

    name: str
    at_once: int
    """Requests in flight together."""
    each: int
    """One visitor's share of them: whoever asks for more is refused, and takes nobody's place."""


COMPUTING = Lane("compute", at_once=32, each=16)
"""Answers that come whole: they share forward passes in one compute thread (core/compute/batching.py)."""

WRITING = Lane("write", at_once=128, each=8)
"""Answers that come bit by bit: they take minutes and grow side by side, as many as the memory promised to them allows.

Both lanes together stay below the `max_threads` of app.py, for the rest belongs to whoever watches a job.
"""

PRESENCE_CHECK_SECONDS = 0.5
"""How often a waiting event looks whether its visitor is still there, and a watched job whether it has news."""

SKETCH_SECONDS = 0.08
"""How often, at most, unfinished work is shown."""

HIDDEN: dict[str, Any] = {"show_progress": "hidden"}
"""For what is over in a moment."""

QUIET: dict[str, Any] = {"queue": False, **HIDDEN}
"""For what is over in a moment and refuses nothing: of an event outside the queue, Gradio's page shows no refusal."""

_OVER = object()


@dataclass(frozen=True)
class Visit:
    """Who asks, and how to reach them while the work runs."""

    language: str = "en"
    visitor: str = ""
    """A secret of this browser's (core: the owner of its jobs)."""
    page: str = ""
    """Which of the browser's open pages it is: Gradio's session."""
    address: str = "http://127.0.0.1:7860"
    """Where this page was opened, for the code panel's curl."""
    cancel: CancelToken = field(default_factory=CancelToken)
    report: Callable[[Progress], None] = lambda _: None
    show: Callable[[Any], None] = lambda _: None
    """Shows outputs, or those that a function makes, before the work is over; what comes too fast is left out."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the event says of itself: which message was edited, and into what."""

    def say(self, sentence: Sentence) -> str:
        """Say a sentence in the visitor's language."""
        return sentence.in_language(self.language)


class Refusal(Exception):
    """Raise instead of an error to say what the page shows beside it; else a refusal leaves it as a fresh one."""

    def __init__(self, problem: BaseException, shown: Any) -> None:
        """Keep the error, and values for the outputs."""
        self.problem, self.shown = problem, shown
        super().__init__(str(problem))


Handler = Callable[..., Any]
NOTHING_TOLD = gr.EventData(None, {})


@dataclass(frozen=True)
class Endpoint:
    """One event as the page and the API know it: name, inputs by parameter name, outputs in order."""

    api_name: str
    inputs: Mapping[str, gr.components.Component]
    outputs: Sequence[gr.components.Component]
    public: bool = True


def compute(trigger: Any, handler: Handler, endpoint: Endpoint, **options: Any) -> Any:
    """Wire work that runs a model: it has a place in a lane, shows progress and can be cancelled."""
    return _compute_in(COMPUTING, trigger, handler, endpoint, **options)


def write(trigger: Any, handler: Handler, endpoint: Endpoint, **options: Any) -> Any:
    """Wire work that shows its answer bit by bit, as `compute`, but in a lane of its own: it keeps its place long."""
    return _compute_in(WRITING, trigger, handler, endpoint, **options)


def follow(trigger: Any, handler: Handler, endpoint: Endpoint, **options: Any) -> Any:
    """Wire a generator handler that watches long work; it computes nothing itself and so waits for nobody."""
    hidden = {"trigger_mode": "once", **HIDDEN, **options}
    return _wire(trigger, _watching(handler), endpoint, concurrency_limit=None, **hidden)


def look_up(trigger: Any, handler: Handler, endpoint: Endpoint, **options: Any) -> Any:
    """Wire a quick question or a stop: it never waits behind computing."""
    return _wire(trigger, _direct(handler), endpoint, concurrency_limit=None, **options)


def _compute_in(lane: Lane, trigger: Any, handler: Handler, endpoint: Endpoint, **options: Any) -> Any:
    told = {"concurrency_id": lane.name, "concurrency_limit": lane.at_once, "trigger_mode": "once", **options}
    return _wire(trigger, _following(handler, endpoint.outputs, lane), endpoint, **told)


def _wire(trigger: Any, event: Handler, endpoint: Endpoint, **options: Any) -> Any:
    """Tell Gradio what every kind of event has in common, and what this one has of its own."""
    return trigger(
        event,
        inputs_kwargs=dict(endpoint.inputs),
        outputs=list(endpoint.outputs),
        api_name=endpoint.api_name,
        api_description=event.__doc__,
        api_visibility="public" if endpoint.public else "private",
        **options,
    )


def _direct(handler: Handler) -> Handler:
    """Run the handler in place."""

    def event(request: gr.Request, data: gr.EventData = NOTHING_TOLD, **values: Any) -> Any:
        visit = replace(_visit(request, CancelToken(), lambda _: None), told=data._data or {})  # noqa: SLF001
        try:
            return handler(visit, **values)
        except Exception as problem:
            raise in_words(problem, visit.language) from problem

    return _named(event, handler)


def _emptied(outputs: Sequence[gr.components.Component]) -> Any:
    """Return what a fresh page shows in these outputs; a box that takes input keeps what was typed.

    It is shown before a refusal: the last answer would stand beside the refusal as if it belonged to this input.
    """
    values = tuple(gr.skip() if isinstance(one, FormComponent) else one.value for one in outputs)
    return values if len(values) > 1 else next(iter(values), None)


def _watching(handler: Handler) -> Handler:
    """Pass on what a generator handler yields, and wait where it yields None: its steps are short, its waiting is not.

    When the visitor leaves, only the watching ends. The handler is not closed but dropped: a step may still run.
    A refusal leaves the page as it is: what a job has made stays beside the job that made it.
    """

    async def event(request: gr.Request, **values: Any) -> AsyncGenerator[Any]:
        visit, listens = _visit(request, CancelToken(), lambda _: None), _presence()
        steps = handler(visit, **values)
        try:
            while (shown := await to_thread.run_sync(next, steps, _OVER)) is not _OVER:
                if shown is not None:
                    yield shown
                else:
                    await asyncio.sleep(PRESENCE_CHECK_SECONDS)
                if not listens():
                    return
        except Exception as problem:
            raise in_words(problem, visit.language) from problem

    return _named(event, handler)


def _following(handler: Handler, outputs: Sequence[gr.components.Component] = (), lane: Lane = COMPUTING) -> Handler:
    """Run the handler in a thread; the generator passes on its progress, its result, and the visitor's leaving."""

    async def event(
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 Gradio injects it, and what follows
        data: gr.EventData = NOTHING_TOLD,
        **values: Any,
    ) -> AsyncGenerator[Any]:
        if _earlier_of(visitor_of(request), lane) >= lane.each:
            raise in_words(Busy("error.too_many_at_once", limit=lane.each), language_of(request))
        cancel, news = CancelToken(), asyncio.Queue[Any]()
        loop = asyncio.get_running_loop()

        def tell(item: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended, and nobody listens
                loop.call_soon_threadsafe(news.put_nowait, item)

        visit = replace(_visit(request, cancel, tell), show=_Sketches(tell), told=data._data or {})  # noqa: SLF001

        def work() -> None:
            try:
                tell(_Done(handler(visit, **values)))
            except BaseException as problem:  # noqa: BLE001 sorted by in_words; else the page would wait for ever
                tell(_Failed(problem))

        threading.Thread(target=work, name=f"atelier-{handler.__name__}", daemon=True).start()
        try:
            async for shown in _pass_on(news, progress, visit, outputs):
                yield shown
        finally:
            cancel.cancel()

    return _named(event, handler)


@dataclass(frozen=True)
class _Done:
    value: Any


@dataclass(frozen=True)
class _Failed:
    problem: BaseException


@dataclass(frozen=True)
class _Sketch:
    value: Any


class _Sketches:
    """Tells what is written so far, a few times a second: each telling crosses a queue, a socket and a page."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self._tell, self._told = tell, 0.0

    def __call__(self, value: Any) -> None:
        if (now := time.monotonic()) - self._told >= SKETCH_SECONDS:
            self._told = now
            self._tell(_Sketch(value() if callable(value) else value))


async def _pass_on(
    news: asyncio.Queue[Any], progress: gr.Progress, visit: Visit, outputs: Sequence[gr.components.Component]
) -> AsyncGenerator[Any]:
    """Show progress and sketches, and yield the result; ends without one if the visitor has left before."""
    listens = _presence()
    while listens():
        try:
            item = await asyncio.wait_for(news.get(), PRESENCE_CHECK_SECONDS)
        except TimeoutError:
            continue
        if isinstance(item, Progress):
            unit = "B" if item.phase in IN_BYTES else ""
            share = (item.done, item.total) if item.total else 0.0  # Gradio shows no words without a share
            progress(share, desc=visit.say(in_progress(item)), unit=unit)
        elif isinstance(item, _Failed):
            refusal = item.problem
            if not isinstance(refusal, Refusal):
                refusal = Refusal(refusal, _emptied(outputs))
            yield refusal.shown
            raise in_words(refusal.problem, visit.language) from refusal.problem
        elif isinstance(item, _Sketch):
            yield item.value
        elif isinstance(item, _Done):
            yield item.value
            return


def _presence() -> Callable[[], bool]:
    """Return the question whether anybody still listens to this event.

    Gradio marks the event of a closed page, but looks at the mark only when a generator yields; this one need not.
    """
    mine, _ = _running()
    return lambda: mine is None or mine.alive


def _earlier_of(visitor: str, lane: Lane) -> int:
    """Return how many events of a visitor have had a place in the lane for longer than this one."""
    mine, others = _running()
    return sum(
        one.alive
        and one.concurrency_id == lane.name
        and visitor_of(gr.Request(one.request, session_hash=one.session_hash)) == visitor
        and (one.enqueue_time, one._id) < (mine.enqueue_time, mine._id)  # noqa: SLF001
        for one in others
    )


def _running() -> tuple[Any, list[Any]]:
    """Return this event as Gradio's queue knows it (None outside of a queue), and the others that run beside it."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    running = [] if blocks is None else [event for events in blocks._queue.active_jobs for event in events or ()]  # noqa: SLF001
    mine = next((event for event in running if event._id == event_id), None)  # noqa: SLF001
    return mine, [event for event in running if mine is not None and event is not mine]


def in_words(problem: BaseException, language: str) -> gr.Error:
    """Turn an exception into a dialog: ours in its own words, anything else as the bug it is, logged."""
    if isinstance(problem, Cancelled):
        return _dialog(problem.sentence, say("say.title_stopped"), language, seconds=5)
    if isinstance(problem, AtelierError):
        return _dialog(problem.sentence, say("say.title_refused"), language)
    log.error("A bug, please report it", exc_info=problem)
    return _dialog(say("error.bug", kind=type(problem).__name__), say("say.title_bug"), language)


def _dialog(sentence: Sentence, title: Sentence, language: str, seconds: float | None = None) -> gr.Error:
    return gr.Error(
        sentence.in_language(language),
        title=title.in_language(language),
        duration=seconds,
        print_exception=False,
    )


def _visit(request: gr.Request, cancel: CancelToken, report: Callable[[Progress], None]) -> Visit:
    return Visit(
        language=language_of(request),
        visitor=visitor_of(request),
        page=request.session_hash or "",
        address=_address(request),
        cancel=cancel,
        report=report,
    )


def _address(request: gr.Request) -> str:
    headers = dict(request.headers or {})
    scheme = headers.get("x-forwarded-proto", "http").split(",")[0].strip()
    return f"{scheme}://{headers.get('x-forwarded-host') or headers.get('host', '127.0.0.1:7860')}"


def _named(event: Handler, handler: Handler) -> Handler:
    """Give the event its handler's name and docstring, but not its signature: Gradio injects by signature."""
    event.__name__, event.__doc__ = handler.__name__.lstrip("_"), inspect.getdoc(handler)
    return event
