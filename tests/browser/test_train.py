"""Training: a real run from the form to its result, seen again after a reload and from a second browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from core.words import say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, expect_dialog, open_tab

FINISHED = str(say("say.state_succeeded"))
NAME = "browser-test"
LONG = 4 * PATIENCE
"""A worker imports the libraries first, beside everything else that this machine does."""


def ask(page: Page, more: str) -> None:
    """Choose the sample of reviews, wait until its columns were guessed, and write further settings."""
    open_tab(page, "tab.train")
    page.locator("#train-dataset input").click()
    page.get_by_role("option", name="samples/reviews").click()
    expect(page.locator("#train-columns").locator("textarea, input").first).not_to_have_value("", timeout=PATIENCE)
    page.locator("#train-further button").first.click()
    page.locator("#train-name").locator("textarea, input").first.fill(NAME)
    page.locator("#train-more textarea").fill(more)


def expect_finished(page: Page) -> None:
    """Wait until the run has ended well, and shows its curves and metrics."""
    expect(page.locator("#train-view .job-state")).to_have_text(FINISHED, timeout=LONG)
    expect(page.locator("#train-view .run-name")).to_have_text(f"run/{NAME}")
    expect(page.locator("#train-view figure.chart").first).to_be_visible()
    expect(page.locator("#train-view td", has_text="accuracy")).to_be_visible()


def test_a_run_is_started_watched_and_found_again(open_window: OpenWindow) -> None:
    """Tokens come before the start, the result after a reload and elsewhere, and its name is taken then."""
    with open_window(leaves=True) as page, open_window() as other:
        ask(page, '{"max_steps": 4, "device": "cpu", "max_length": 32}')
        page.locator("#train-data-run").click()
        expect(page.locator("#train-looked .tokens .token").first).to_be_visible(timeout=PATIENCE)
        page.locator("#train-start").click()
        expect(page.locator("#train-view .run-name")).to_be_visible(timeout=LONG)
        page.reload()
        open_tab(page, "tab.train")
        expect_finished(page)
        other.reload()
        other.locator("#jobs button").first.click()
        expect(other.locator("#jobs-view td", has_text=f"run/{NAME}")).to_be_visible(timeout=PATIENCE)
        ask(other, "")
        expect_finished(other)
        other.locator("#train-start").click()
        expect_dialog(other, str(say("error.train_name_taken", name=NAME)))


def test_a_group_is_built_when_it_is_opened(open_window: OpenWindow) -> None:
    """What is chosen in a group is written among the further settings, for the method that is chosen."""
    with open_window() as page:
        open_tab(page, "tab.train")
        expect(page.locator("#train-r")).to_have_count(0)
        page.locator("#train-group-method button").first.click()
        rank = page.locator("#train-r input").first
        expect(rank).to_be_visible(timeout=PATIENCE)
        rank.fill("16")
        page.locator("#train-further button").first.click()
        expect(page.locator("#train-more textarea")).to_have_value('{\n "r": 16\n}', timeout=PATIENCE)
