"""The Models tab: what is in memory, what would happen next, and what a model is made of."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from core.words import dictionary, say
from tabs.models import LEDGER_REFRESH_SECONDS
from tests.browser.steps import PATIENCE, choose_example, expect_answer, expect_dialog, open_tab, press_run

STARTER = "starter/sentiment"
BYTES = re.compile(r"\d+(\.\d)? [KM]B")


def load_starter(page: Page) -> None:
    """Let the sentiment starter answer once, then look at the Models tab."""
    open_tab(page, "tab.text")
    open_tab(page, "task.text_classification")
    choose_example(page, "text_classification", "text")
    press_run(page, "text_classification")
    expect_answer(page, "text_classification")
    open_tab(page, "tab.models")
    expect(page.locator("#models-ledger table")).to_contain_text(STARTER)


def choose_resident(page: Page) -> None:
    """Choose the sentiment starter among the models in memory."""
    page.locator("#models-resident input").click()
    page.get_by_role("option", name=STARTER).first.click()


def test_unload_frees_what_the_ledger_showed(page: Page) -> None:
    """A model that answered is in the ledger with its bytes; unloading removes it and says what came back."""
    load_starter(page)
    expect(page.locator("#models-ledger tr", has_text=STARTER).first).to_contain_text(BYTES)
    choose_resident(page)
    page.locator("#models-unload").click()
    expect(page.locator("#models-freed")).to_contain_text(STARTER, timeout=PATIENCE)
    expect(page.locator("#models-freed")).to_contain_text(BYTES)
    expect(page.locator("#models-ledger")).not_to_contain_text(STARTER)


def test_a_diagnosis_tells_what_a_model_is_made_of(page: Page) -> None:
    """Diagnose shows parameters and the latency of a model in memory."""
    load_starter(page)
    choose_resident(page)
    page.locator("#models-diagnose").click()
    expect(page.locator("#models-diagnosis table")).to_contain_text("BertForSequenceClassification", timeout=PATIENCE)
    expect(page.locator("#models-diagnosis")).to_contain_text(re.compile(r"\d ms"))
    expect(page.locator("#models-diagnosis .provenance")).to_contain_text(STARTER)


def test_a_plan_tells_where_a_starter_would_run(page: Page) -> None:
    """Plan shows parameters, place and reasons, and loads nothing."""
    open_tab(page, "tab.models")
    press_run(page, "model_plan")
    view = page.locator("#model_plan-view")
    expect(view).to_contain_text(BYTES, timeout=PATIENCE)
    expect(view.locator(".note").first).to_be_visible()


def test_a_plan_for_nonsense_is_refused_in_words(page: Page) -> None:
    """A name that is none is answered with what a name looks like."""
    open_tab(page, "tab.models")
    model = page.locator("#model_plan-model input")
    model.fill("no such; model")
    model.press("Enter")
    press_run(page, "model_plan")
    expect_dialog(page, str(say("error.bad_model_name", name="no such; model")))


def test_nobody_looks_into_a_tab_that_was_left(page: Page) -> None:
    """The ledger is asked again and again while its tab is open, and not once another tab is; coming back, it is."""
    ask = re.compile(r"/gradio_api/(run|queue|call)/")
    open_tab(page, "tab.models")
    for _ in range(2):
        with page.expect_request(ask, timeout=PATIENCE):
            pass
    with page.expect_response(ask):
        open_tab(page, "tab.text")
    page.wait_for_timeout(1_000)  # what was on its way arrives
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000 * LEDGER_REFRESH_SECONDS)
    assert asked == []
    open_tab(page, "tab.models")
    for _ in range(3):
        with page.expect_request(ask, timeout=PATIENCE):
            pass


def test_the_footer_says_where_models_run(page: Page) -> None:
    """The line at the bottom names device, dtype and mode, and opens to the reasons."""
    line = page.locator("#footer-line")
    expect(line.locator("summary")).to_contain_text("local", timeout=PATIENCE)
    line.locator("summary").click()
    expect(line.locator("li").last).to_have_text(dictionary("en")["reason.mode_local"])
