"""The page behind a password, in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from core.settings import USER
from tests.browser.steps import PATIENCE, choose_example, expect_answer, open_tab, press_run
from tests.serving import Served, serve

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give the app behind a password."""
    with serve(tmp_path_factory.mktemp("locked") / "home", "--password", PASSWORD) as served:
        yield served


def test_who_has_logged_in_sees_all_and_meets_no_wall(browser: Browser, locked: Served) -> None:
    """The login page lacks nothing, the password opens the page, and a model answers; nothing is refused on the way."""
    context = browser.new_context(locale="en-US")
    refused: list[str] = []
    context.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    context.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    try:
        page = context.new_page()
        page.goto(locked.address)
        page.locator("input[type=password]").fill(PASSWORD)
        page.locator("input:not([type=password])").first.fill(USER)
        page.get_by_role("button", name="Login").click()
        choose_example(page, "text_classification", "text")
        press_run(page, "text_classification")
        expect_answer(page, "text_classification")
        open_tab(page, "tab.models")
        expect(page.locator("#models-ledger table")).to_contain_text("starter/sentiment", timeout=PATIENCE)
        page.reload()
        page.locator("#text_classification-run").wait_for()
        assert refused == []
    finally:
        context.close()
