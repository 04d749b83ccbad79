"""Evaluating: a real one from the form to its result, found again after a reload; a cell, and predictions one has."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from core.words import dictionary, say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, expect_dialog, open_tab

FINISHED = str(say("say.state_succeeded"))


def choose(page: Page, name: str, option: str) -> None:
    """Choose from one of the tab's lists."""
    page.locator(f"#evaluate-{name} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def evaluate(page: Page, *more: str) -> None:
    """Evaluate the starter, and models that are typed, on a sample."""
    for name in more:
        page.locator("#evaluate-models input").click()
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    choose(page, "dataset", "samples/reviews")
    page.locator("#evaluate-start").click()


def expect_result(page: Page) -> None:
    """Wait until an evaluation has ended well, with its rows."""
    expect(page.locator("#evaluate-view .job-state")).to_have_text(FINISHED, timeout=PATIENCE)
    expect(page.locator("#evaluate-view .score-card strong").first).to_be_visible()
    expect(page.locator("#evaluate-rows tbody tr").first).to_be_visible(timeout=PATIENCE)


def test_an_evaluation_is_started_read_and_found_again(open_window: OpenWindow) -> None:
    """The result is there after a reload and in a second browser; a cell of the matrix brings its rows."""
    with open_window(leaves=True) as page, open_window() as other:
        open_tab(page, "tab.evaluate")
        expect(page.locator("#evaluate-start")).to_be_visible(timeout=PATIENCE)
        evaluate(page, "starter/nli")
        expect_result(page)
        expect(page.locator("#evaluate-view .score-card")).to_have_count(2)
        expect(page.locator("#evaluate-rows tbody tr")).to_have_count(50)
        page.reload()
        open_tab(page, "tab.evaluate")
        expect_result(page)
        cell = page.locator("#evaluate-details table.confusion button").nth(1)
        count = int(cell.inner_text())
        cell.click()
        expect(page.locator("#evaluate-rows tbody tr")).to_have_count(count, timeout=PATIENCE)
        page.locator("#evaluate-rows button.choose").first.click()
        expect(page.locator("#evaluate-rows tbody tr")).to_have_count(50, timeout=PATIENCE)
        page.locator("#evaluate-rows button.choose").last.click()
        expect(page.locator("#evaluate-rows .direction").first).to_contain_text("51", timeout=PATIENCE)
        open_tab(other, "tab.evaluate")
        expect_result(other)


def test_a_task_brings_its_models_data_and_metrics(open_window: OpenWindow) -> None:
    """What is offered follows the task; its languages and beams are there, and a missing choice is a sentence."""
    with open_window() as page:
        open_tab(page, "tab.evaluate")
        choose(page, "task", "translation")
        expect(page.locator("#evaluate-models")).to_contain_text("starter/translate-en-fr", timeout=PATIENCE)
        page.locator("#evaluate-metrics input").click()
        expect(page.get_by_role("option", name="sacrebleu", exact=True)).to_be_visible()
        page.keyboard.press("Escape")
        page.locator("#evaluate-more button").first.click()
        expect(page.locator("#evaluate-target_language")).to_be_visible()
        expect(page.locator("#evaluate-labels")).to_have_count(0)
        page.locator("#evaluate-start").click()
        expect_dialog(page, dictionary("en")["error.evaluate_no_data"])


def test_given_predictions_are_scored(open_window: OpenWindow) -> None:
    """Pasted lines give the number, with its interval and who computed it."""
    with open_window() as page:
        open_tab(page, "tab.evaluate")
        open_tab(page, "evaluate.given")
        page.locator("#metric-predictions textarea").fill("a\nb\nb\na")
        page.locator("#metric-references textarea").fill("a\nb\na\na")
        page.locator("#metric-run").click()
        expect(page.locator("#metric-view td", has_text="0.75").first).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#metric-view .provenance")).to_contain_text("scikit-learn")
