"""From a click to a handler and back: one wrapper for errors, language, progress and cancelling.

A handler is `def _classify(visit, **values)`: settings in, core call, show out. It runs in a thread of its own while
a generator waits for it, for two reasons measured in Gradio: a closed page or a cancelled call reaches a generator
only, and generators hop threads, so no torch context may span one of their yields.
"""

from __future__ import annotations

import inspect
import logging
import queue
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from core.errors import AtelierError, Cancelled
from core.events import CancelToken, Progress
from core.words import Sentence, in_bytes, say
from tabs._language import language_of
from tabs._visitor import visitor_of

log = logging.getLogger("atelier")

COMPUTE_LANE = "compute"
COMPUTE_AT_ONCE = 8
"""Requests in flight together: they share forward passes in one compute thread (core/batching.py)."""

IN_BYTES = frozenset({"download", "verify"})
"""The phases of long work that count bytes."""


@dataclass(frozen=True)
class Visit:
    """Who asks, and how to reach them while the work runs."""

    language: str = "en"
    visitor: str = ""
    """A secret of this browser's (core: the owner of its jobs)."""
    address: str = "http://127.0.0.1:7860"
    """Where this page was opened, for the code panel's curl."""
    cancel: CancelToken = field(default_factory=CancelToken)
    report: Callable[[Progress], None] = lambda _: None

    def say(self, sentence: Sentence) -> str:
        """Say a sentence in the visitor's language."""
        return sentence.in_language(self.language)


Handler = Callable[..., Any]


@dataclass(frozen=True)
class Endpoint:
    """One event as the page and the API know it: name, inputs by parameter name, outputs in order."""

    api_name: str
    inputs: Mapping[str, gr.components.Component]
    outputs: Sequence[gr.components.Component]
    public: bool = True


def compute(trigger: Any, handler: Handler, endpoint: Endpoint) -> Any:
    """Wire work that runs a model: it waits in the compute lane, shows progress and can be cancelled."""
    return trigger(
        _following(handler),
        inputs_kwargs=dict(endpoint.inputs),
        outputs=list(endpoint.outputs),
        api_name=endpoint.api_name,
        api_description=inspect.getdoc(handler),
        api_visibility=_visibility(endpoint),
        concurrency_id=COMPUTE_LANE,
        concurrency_limit=COMPUTE_AT_ONCE,
        trigger_mode="once",
    )


def follow(trigger: Any, handler: Handler, endpoint: Endpoint) -> Any:
    """Wire a generator handler that watches long work; it computes nothing itself and so waits for nobody."""
    return trigger(
        _watching(handler),
        inputs_kwargs=dict(endpoint.inputs),
        outputs=list(endpoint.outputs),
        api_name=endpoint.api_name,
        api_description=inspect.getdoc(handler),
        api_visibility=_visibility(endpoint),
        concurrency_limit=None,
        trigger_mode="once",
        show_progress="hidden",
    )


def look_up(trigger: Any, handler: Handler, endpoint: Endpoint, **options: Any) -> Any:
    """Wire a quick question or a stop: it never waits behind computing."""
    return trigger(
        _direct(handler),
        inputs_kwargs=dict(endpoint.inputs),
        outputs=list(endpoint.outputs),
        api_name=endpoint.api_name,
        api_description=inspect.getdoc(handler),
        api_visibility=_visibility(endpoint),
        concurrency_limit=None,
        **options,
    )


def _visibility(endpoint: Endpoint) -> Any:
    return "public" if endpoint.public else "private"


def _direct(handler: Handler) -> Handler:
    """Run the handler in place."""

    def event(request: gr.Request, **values: Any) -> Any:
        visit = _visit(request, CancelToken(), lambda _: None)
        try:
            return handler(visit, **values)
        except Exception as problem:  # noqa: BLE001 sorted by in_words
            raise in_words(problem, visit.language) from problem

    return _named(event, handler)


def _watching(handler: Handler) -> Handler:
    """Run a generator handler in place; when the visitor leaves, only the watching ends."""

    def event(request: gr.Request, **values: Any) -> Generator[Any]:
        visit = _visit(request, CancelToken(), lambda _: None)
        try:
            yield from handler(visit, **values)
        except Exception as problem:  # noqa: BLE001 sorted by in_words
            raise in_words(problem, visit.language) from problem

    return _named(event, handler)


def _following(handler: Handler) -> Handler:
    """Run the handler in a thread; the generator passes on its progress, its result, and the visitor's leaving."""

    def event(request: gr.Request, progress: gr.Progress = gr.Progress(), **values: Any) -> Generator[Any]:  # noqa: B008 Gradio injects it
        cancel, news = CancelToken(), queue.SimpleQueue[Any]()
        visit = _visit(request, cancel, news.put)

        def work() -> None:
            try:
                news.put(_Done(handler(visit, **values)))
            except Exception as problem:  # noqa: BLE001 sorted by in_words
                news.put(_Failed(problem))

        threading.Thread(target=work, name=f"atelier-{handler.__name__}", daemon=True).start()
        try:
            yield from _pass_on(news, progress, visit)
        finally:
            cancel.cancel()

    return _named(event, handler)


@dataclass(frozen=True)
class _Done:
    value: Any


@dataclass(frozen=True)
class _Failed:
    problem: Exception


@dataclass(frozen=True)
class Showing:
    """Put on `visit.report` by a handler that has something to show before its end."""

    value: Any


def _pass_on(news: queue.SimpleQueue[Any], progress: gr.Progress, visit: Visit) -> Generator[Any]:
    while True:
        item = news.get()
        if isinstance(item, Progress):
            unit = "B" if item.phase in IN_BYTES else ""
            progress((item.done, item.total or None), desc=visit.say(in_progress(item)), unit=unit)
        elif isinstance(item, Showing):
            yield item.value
        elif isinstance(item, _Failed):
            raise in_words(item.problem, visit.language) from item.problem
        else:
            yield item.value
            return


def in_progress(progress: Progress) -> Sentence:
    """Return the sentence under a progress bar: phase, rate and remaining time."""
    remaining = progress.remaining_seconds
    phase = say(f"say.phase_{progress.phase}")
    if remaining is None:
        return phase
    rate = in_bytes(progress.rate) if progress.phase in IN_BYTES else f"{progress.rate:,.1f}"
    return say("say.progress", phase=phase, rate=rate, remaining=f"{remaining:,.0f}")


def in_words(problem: Exception, language: str) -> gr.Error:
    """Turn an exception into a dialog: ours in its own words, anything else as the bug it is, logged."""
    if isinstance(problem, Cancelled):
        return gr.Error(problem.sentence.in_language(language), duration=5, print_exception=False)
    if isinstance(problem, AtelierError):
        return gr.Error(problem.sentence.in_language(language), duration=None, print_exception=False)
    log.error("A bug, please report it", exc_info=problem)
    bug = say("error.bug", kind=type(problem).__name__)
    return gr.Error(bug.in_language(language), duration=None, print_exception=False)


def _visit(request: gr.Request, cancel: CancelToken, report: Callable[[Progress], None]) -> Visit:
    return Visit(
        language=language_of(request),
        visitor=visitor_of(request),
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
