"""The Generate panel in a browser: a text grows, can be stopped, and goes on from another candidate."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from core.words import dictionary, say
from tests.browser.steps import PATIENCE, expect_answer, expect_dialog, open_tab, press_run, text_box
from tests.fakes.models import tiny_llama
from tests.serving import Served, until

NAME = "text_generation"
WORDS = dictionary("en")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny causal language model that may write for minutes."""
    folder = tiny_llama(tmp_path_factory.mktemp("model") / "llama")
    for name, key in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), key: 100_000}))
    return str(folder)


@pytest.fixture
def panel(page: Page, story: str) -> Page:
    """Open the panel with the tiny model and a prompt."""
    page.reload()
    open_tab(page, f"task.{NAME}")
    model = page.locator(f"#{NAME}-model input")
    model.fill(story)
    model.press("Enter")
    text_box(page, NAME, "prompt").fill("Once")
    return page


def test_a_candidate_leads_another_way(panel: Page) -> None:
    """A token opens its candidates; a click on one makes it the end of the prompt, and the text goes on from there."""
    press_run(panel, NAME)
    view = expect_answer(panel, NAME)
    pieces = view.locator("details.piece")
    kept = "".join(str(pieces.nth(place).get_attribute("data-text")) for place in range(2))
    pieces.nth(2).locator("summary").click()
    chosen = pieces.nth(2).locator("button").last
    expect(chosen).to_be_visible()
    branch = str(chosen.get_attribute("data-branch"))
    chosen.click()
    expect(view.locator(".prompt")).to_have_text("Once" + kept + branch, use_inner_text=False, timeout=PATIENCE)
    expect(text_box(panel, NAME, "prompt")).to_have_value("Once" + kept + branch)
    expect_answer(panel, NAME)


def test_a_preset_moves_the_controls(panel: Page) -> None:
    """Choosing a preset sets the settings that it names, where everybody sees them; another setting is no preset."""
    panel.locator(f"#{NAME}-more").get_by_role("button").first.click()
    panel.get_by_label(WORDS["page.preset.creative"]).check()
    top_k = panel.get_by_label(WORDS["page.field.top_k_sampling"])
    expect(top_k).to_have_value("0")
    balanced = panel.get_by_label(WORDS["page.preset.balanced"])
    balanced.check()
    expect(top_k).to_have_value("50")
    top_k.fill("7")
    expect(balanced).not_to_be_checked()
    expect(top_k).to_have_value("7")


def test_contradictions_are_a_sentence(panel: Page) -> None:
    """Settings that cannot be together are refused in words, and nothing that was typed is lost."""
    panel.locator(f"#{NAME}-more").get_by_role("button").first.click()
    panel.get_by_label(WORDS["page.field.early_stopping"]).check()
    press_run(panel, NAME)
    expect_dialog(panel, str(say("error.early_stopping_needs_beams")))
    expect(text_box(panel, NAME, "prompt")).to_have_value("Once")


def test_a_growing_text_is_seen_and_stopped(panel: Page, served: Served) -> None:
    """The text is there before it is whole; Stop frees the model long before the last token, and keeps the text."""
    panel.locator(f"#{NAME}-more").get_by_role("button").first.click()
    for field in ("max_new_tokens", "min_new_tokens"):
        panel.get_by_label(WORDS[f"page.field.{field}"]).fill("4000")
    panel.get_by_label(re.compile(re.escape(WORDS["page.field.num_return_sequences"]))).first.fill("8")
    press_run(panel, NAME)
    view = panel.locator(f"#{NAME}-view")
    expect(view.locator(".answer").first).to_be_visible(timeout=PATIENCE)
    panel.locator(f"#{NAME}-stop").click()
    until(lambda: served.borrowers() == 0)
    expect(view.locator(".ended").first).to_have_text(WORDS["say.ended_stopped"], timeout=PATIENCE)
    expect(view.locator("details.piece").first).to_be_visible()
    panel.locator(f"#{NAME}-code-panel").get_by_role("button").first.click()
    expect(panel.locator(f"#{NAME}-code")).to_contain_text("pipeline(")
    press_run(panel, NAME)  # the page is free again
    expect(view.locator(".speed")).to_have_count(0, timeout=PATIENCE)
    panel.locator(f"#{NAME}-stop").click()
    expect(view.locator(".speed")).to_be_visible(timeout=PATIENCE)
