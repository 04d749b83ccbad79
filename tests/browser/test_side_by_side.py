"""Side by side: two models judged blind, their names after it, the ranking; a text that is stopped; another task."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.words import say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, open_tab, press_run, text_box
from tests.fakes.models import tiny_llama

STORIES = "starter/stories"
NAME = "side_by_side"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give another causal language model."""
    return str(tiny_llama(tmp_path_factory.mktemp("model") / "other"))


def prepare(page: Page, other: str, tokens: int) -> None:
    """Open the tab, type, and choose the starter and another model."""
    open_tab(page, "tab.side_by_side")
    expect(page.locator(f"#{NAME}-models")).to_contain_text(STORIES, timeout=PATIENCE)
    models = page.locator(f"#{NAME}-models input").first
    models.fill(other)
    models.press("Enter")
    models.press("Escape")
    text_box(page, NAME).fill("Once upon a time")
    page.locator(f"#{NAME}-more button").first.click()
    page.locator(f"#{NAME}-max_new_tokens input").first.fill(str(tokens))
    page.locator(f"#{NAME}-max_new_tokens input").first.press("Enter")


def test_a_blind_vote_reveals_the_names_and_counts(open_window: OpenWindow, other: str) -> None:
    """Until the vote no name is in the answers; then both are, and the ranking has them."""
    with open_window() as page:
        prepare(page, other, 6)
        page.locator(f"#{NAME}-blind input").check()
        press_run(page, NAME)
        view = page.locator(f"#{NAME}-view")
        verdict = view.get_by_role("button", name=str(say("say.side_better", column="B")))
        expect(verdict).to_be_visible(timeout=PATIENCE)
        expect(view.locator("h4")).to_have_text(["A", "B"])
        expect(view.locator(".provenance")).to_have_count(0)
        assert STORIES not in view.inner_text()
        verdict.click()
        expect(view.locator("section.better h4")).to_contain_text("B · ", timeout=PATIENCE)
        expect(view).to_contain_text(STORIES)
        expect(view).to_contain_text(Path(other).name)
        expect(view.get_by_role("button")).to_have_count(0)
        page.locator("#ranking-panel button").first.click()
        expect(page.locator("#ranking-view td", has_text=STORIES)).to_be_visible(timeout=PATIENCE)


def test_stop_keeps_what_there_is(open_window: OpenWindow, other: str) -> None:
    """A text that grows is seen, stopped, and stays with its name; the next model is not asked any more."""
    with open_window() as page:
        prepare(page, other, 480)
        press_run(page, NAME)
        view = page.locator(f"#{NAME}-view")
        expect(view.locator(".answer")).to_be_visible(timeout=PATIENCE)
        page.locator(f"#{NAME}-stop").click()
        expect(view).to_contain_text(str(say("say.side_kept")), timeout=PATIENCE)
        expect(view).to_contain_text(str(say("say.side_stopped")))
        expect(view.locator(".provenance").first).to_contain_text(STORIES)


def test_another_task_has_its_own_form(open_window: OpenWindow) -> None:
    """An example of another task changes the models, and the blind vote goes where nothing is written."""
    with open_window() as page:
        open_tab(page, "tab.side_by_side")
        page.locator("button.gallery-item:visible").nth(2).click()
        expect(page.locator(f"#{NAME}-models")).to_contain_text("starter/sentiment", timeout=PATIENCE)
        expect(page.locator(f"#{NAME}-blind")).to_have_count(0)
        press_run(page, NAME)
        expect(page.locator(f"#{NAME}-view .provenance").first).to_be_visible(timeout=PATIENCE)
        expect(page.locator(f"#{NAME}-view .bars")).to_have_count(1)
