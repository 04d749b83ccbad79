"""A real Chromium on the real app; whatever it complains about fails the test that made it complain."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.browser.steps import PATIENCE, Window
from tests.serving import PROJECT, Served

SCREENSHOTS = PROJECT / "screenshots"
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)
WIDE = {"width": 1280, "height": 900}
OF_ENDING = ("AbortError: signal is aborted without reason",)
"""What Gradio itself says when it ends a stream that the server has closed, but whose last byte was not read yet."""
OF_LEAVING = (
    *OF_ENDING,
    "Connection errored out",
    "Unexpected client exception",  # it has forgotten what the last pieces of the stream belong to
)
"""What Gradio itself says when a reload ends a stream that it was reading."""

FAILED = pytest.StashKey[bool]()

OpenWindow = Callable[..., Any]


@pytest.fixture(scope="session")
def browser(chromium_path: Path) -> Iterator[Browser]:
    """Give the browser that all windows belong to."""
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, served: Served, query: str = "", *, leaves: bool = False, **options: Any
) -> Iterator[Window]:
    """Open a window of a visitor with no history; `leaves` says that the visitor will leave in the middle of work."""
    context = browser.new_context(**{"locale": "en-US", "viewport": WIDE, **options})
    context.set_default_timeout(PATIENCE)
    window = Window(context.new_page(), leaves)
    window.page.on("console", lambda message: _note_console(window, message))
    window.page.on("pageerror", lambda error: window.problems.append(f"script error: {error}"))
    context.on("request", lambda request: _note_request(window, served, request))
    try:
        window.page.goto(f"{served.address}/{query}")
        window.page.locator("#text_classification-run").wait_for()
        yield window
    finally:
        context.close()


def _note_console(window: Window, message: ConsoleMessage) -> None:
    expected = OF_LEAVING if window.leaves else OF_ENDING
    if message.type == "error" and not any(words in message.text for words in expected):
        window.problems.append(f"console: {message.text} ({message.location.get('url')})")


def _note_request(window: Window, served: Served, request: Request) -> None:
    address = urlsplit(request.url)
    if address.scheme not in {"data", "blob"} and address.netloc != urlsplit(served.address).netloc:
        window.problems.append(f"asked another host: {request.url}")


@pytest.fixture(scope="module")
def window(browser: Browser, served: Served) -> Iterator[Window]:
    """Give one window in English to all tests of a module."""
    with opened(browser, served) as window:
        yield window


@pytest.fixture
def page(window: Window, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give the module's page; afterwards nothing may have gone wrong in it."""
    yield window.page
    _judge(window, request.node)


@pytest.fixture
def open_window(browser: Browser, served: Served, request: pytest.FixtureRequest) -> OpenWindow:
    """Give a maker of windows for other visitors, used in a with statement: query first, then browser options."""

    @contextmanager
    def open_one(query: str = "", *, leaves: bool = False, **options: Any) -> Iterator[Page]:
        with opened(browser, served, query, leaves=leaves, **options) as window:
            try:
                yield window.page
            except BaseException:
                _picture(window.page, request.node)
                raise
            _judge(window, request.node)

    return open_one


def _judge(window: Window, node: pytest.Item) -> None:
    if node.stash.get(FAILED, False):
        _picture(window.page, node)
    problems = list(window.problems)
    window.problems.clear()
    assert problems == []


def _picture(page: Page, node: pytest.Item) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    name = re.sub(r"[^\w.-]+", "_", node.name)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test failed, so that its fixtures can take a picture."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report
