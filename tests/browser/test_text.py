"""The Text tab: every panel from an example to its answer, and what happens on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.catalogue import find_task
from core.settings import LIMITS
from core.words import dictionary, say
from tabs.text import PANELS
from tabs.text.question_answering import CONTEXT
from tests.browser.steps import PATIENCE, choose_example, expect_answer, expect_dialog, open_tab, press_run, text_box
from tests.fakes.models import tiny_bert
from tests.serving import Served, until

WORDS = dictionary("en")
EMPTY = str(say("error.text_empty", name="text", limit=LIMITS.text_characters))


@dataclass(frozen=True)
class Panel:
    """One panel: where its example goes, and where in the view the answer to its first example stands."""

    name: str
    first_field: str
    selector: str
    answer: str


SHOWN = (
    Panel("text_classification", "text", ".bars li:first-child .bar-label", "POSITIVE"),
    Panel("zero_shot_classification", "text", ".bars li:first-child .bar-label", "banking"),
    Panel("token_classification", "text", ".reading mark.entity >> nth=0", "Angela Merkel"),
    Panel("question_answering", "context", ".reading mark >> nth=0", ""),
    Panel("fill_mask", "text", ".bars li:first-child .bar-label", ""),
    Panel("text_generation", "prompt", ".answer", "dragon"),
    Panel("summarization", "text", ".answer", "bridge"),
    Panel("translation", "text", ".answer", "Où"),
    Panel("feature_extraction", "text", "table >> nth=0", "Stock prices fell on Monday."),
    Panel("attention", "text", "table.heat", "animal"),
)


def test_no_panel_is_forgotten() -> None:
    """Every panel of the Text tab is tried below."""
    assert [f"task.{panel.name}" for panel in SHOWN] == [panel.TITLE for panel in PANELS]


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel.name)
def test_an_example_is_answered(page: Page, panel: Panel) -> None:
    """One click on an example and one on Run give the answer, the model that gave it, its code and its JSON."""
    open_tab(page, f"task.{panel.name}")
    choose_example(page, panel.name, panel.first_field)
    press_run(page, panel.name)
    view = expect_answer(page, panel.name)
    expect(view.locator(panel.selector)).to_contain_text(panel.answer)
    starter = find_task(panel.name).starter
    expect(view.locator(".provenance")).to_contain_text(starter)
    page.get_by_role("button", name=WORDS["page.code"]).locator("visible=true").click()
    code = page.locator(f"#{panel.name}-code")
    expect(code).to_contain_text("import")
    expect(code).to_contain_text(f"/gradio_api/call/{panel.name}")
    page.get_by_role("button", name=WORDS["page.json"]).locator("visible=true").click()
    expect(page.locator(f"#{panel.name}-provenance")).to_contain_text(starter)
    expect(page.locator(f"#{panel.name}-result")).to_be_visible()


def test_the_answer_to_a_question_is_marked_in_its_context(page: Page) -> None:
    """The marked piece is copied from the context, which is shown whole."""
    open_tab(page, "task.question_answering")
    choose_example(page, "question_answering", "context", place=1)
    expect(text_box(page, "question_answering", "question")).to_have_value("When was the Korean alphabet created?")
    press_run(page, "question_answering")
    expect(page.locator("#question_answering-view mark").first).to_contain_text("1443", timeout=PATIENCE)
    assert page.locator("#question_answering-view .reading").inner_text() == CONTEXT


def test_a_click_fills_the_gap(page: Page, tmp_path: Path) -> None:
    """A candidate goes into its gap and the others are guessed anew; in the last gap it can be chosen again."""
    open_tab(page, "task.fill_mask")
    model = page.locator("#fill_mask-model input")
    model.fill(str(tiny_bert(tmp_path / "tiny", "masked-lm")))
    model.press("Enter")
    box, buttons = text_box(page, "fill_mask"), page.locator("#fill_mask-view .bars button")
    box.fill("The <mask> is a [MASK].")
    press_run(page, "fill_mask")
    expect(buttons).to_have_count(10, timeout=PATIENCE)
    second_gap = page.locator("#fill_mask-view [data-gap='1']").first
    chosen = second_gap.get_attribute("data-choice")
    second_gap.click()
    expect(buttons).to_have_count(5, timeout=PATIENCE)
    before, _, after = box.input_value().partition("<mask>")
    assert before == "The "
    assert after.replace(" ", "") == f"isa{chosen}."
    for number in (0, 1):
        word = buttons.nth(number).get_attribute("data-choice")
        buttons.nth(number).click()
        expect(box).to_have_value(re.compile(rf"^The ?{re.escape(str(word))}{re.escape(after)}$"))


def test_an_empty_text_is_refused_and_nothing_is_lost(page: Page) -> None:
    """Run on a blank text opens a dialog with our sentence; what was typed stays."""
    open_tab(page, "task.text_classification")
    text_box(page, "text_classification").fill("   ")
    press_run(page, "text_classification")
    expect_dialog(page, EMPTY)
    expect(text_box(page, "text_classification")).to_have_value("   ")
    text_box(page, "text_classification").fill("It is fine again.")
    press_run(page, "text_classification")
    expect(page.locator("#text_classification-view .bars li").first).to_be_visible(timeout=PATIENCE)


def test_a_refusal_leaves_no_old_answer(page: Page) -> None:
    """The answer to the last text goes when the next one is refused: view, code and JSON are as on a fresh page."""
    open_tab(page, "task.text_classification")
    text_box(page, "text_classification").fill("What an awful evening.")
    press_run(page, "text_classification")
    view = page.locator("#text_classification-view")
    expect(view.locator(".bars li:first-child .bar-label")).to_have_text("NEGATIVE", timeout=PATIENCE)
    text_box(page, "text_classification").fill("")
    press_run(page, "text_classification")
    expect_dialog(page, EMPTY)
    expect(view.locator(".empty")).to_have_text(WORDS["page.empty"])
    expect(view.locator(".bars, .provenance")).to_have_count(0)


def test_a_model_that_cannot_be_had_keeps_the_text(page: Page) -> None:
    """A Hub model without a network is refused with a sentence; text and model stay as they were typed."""
    open_tab(page, "task.text_classification")
    text_box(page, "text_classification").fill("My words.")
    model = page.locator("#text_classification-model input")
    model.fill("nobody/nothing")
    model.press("Enter")
    press_run(page, "text_classification")
    expect_dialog(page, str(say("error.hub_offline", repo_id="nobody/nothing", revision="main")))
    expect(text_box(page, "text_classification")).to_have_value("My words.")
    expect(model).to_have_value("nobody/nothing")
    model.fill("starter/sentiment")
    model.press("Enter")


def test_a_double_click_runs_once(page: Page) -> None:
    """Two quick clicks on Run start one request."""
    open_tab(page, "task.text_classification")
    text_box(page, "text_classification").fill("What a great film this is. " * 150)
    joins: list[str] = []
    with _counting(page, joins):
        page.locator("#text_classification-run").dblclick()
        expect(page.locator("#text_classification-view .note")).to_be_visible(timeout=PATIENCE)
    assert len(joins) == 1


def test_markup_in_a_text_stays_text(page: Page) -> None:
    """A text full of markup is shown as it was typed and runs nothing."""
    open_tab(page, "task.token_classification")
    text_box(page, "token_classification").fill(
        "<img src=x onerror=alert(1)> Tim Cook met <b>Angela Merkel</b> in Berlin."
    )
    press_run(page, "token_classification")
    reading = page.locator("#token_classification-view .reading")
    expect(reading).to_contain_text("<img src=x onerror=alert(1)>", timeout=PATIENCE)
    assert reading.locator("img, b").count() == 0


def test_stop_ends_the_work(page: Page, served: Served) -> None:
    """Stop frees the page at once and the model soon after, and Run works again."""
    name = "question_answering"
    page.reload()
    open_tab(page, f"task.{name}")
    text_box(page, name, "question").fill("Who built it?")
    sentences = "In the year 1200 a king of the northern hills built a castle of white stone for his daughter. "
    text_box(page, name, "context").fill((sentences * 3000)[: LIMITS.context_characters])
    press_run(page, name)
    until(lambda: served.borrowers() > 0)
    page.locator(f"#{name}-stop").click()
    expect(page.locator(f"#{name}-view .provenance")).not_to_be_visible()
    until(lambda: served.borrowers() == 0)
    text_box(page, name, "context").fill("A king built it in the year 1200.")
    press_run(page, name)
    expect(page.locator(f"#{name}-view .reading")).to_contain_text("A king built it", timeout=PATIENCE)


def test_the_keyboard_is_enough(page: Page) -> None:
    """Tab leads to the text and on to Run, and Enter runs."""
    open_tab(page, "task.text_classification")
    page.reload()
    page.locator("#text_classification-run").wait_for()
    _tab_to(page, "text_classification-text")
    page.keyboard.type("The food was wonderful.")
    _tab_to(page, "text_classification-run")
    page.keyboard.press("Enter")
    expect_answer(page, "text_classification")


def _tab_to(page: Page, element: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("id => Boolean(document.activeElement.closest(`#${id}`))", element):
            return
    raise AssertionError(f"thirty times Tab did not reach #{element}")


class _counting:  # noqa: N801 reads as `with _counting(page, joins):`
    """Note each request that joins the queue while the block runs."""

    def __init__(self, page: Page, joins: list[str]) -> None:
        self._page, self._joins = page, joins

    def _note(self, request: Any) -> None:
        if request.url.endswith("/queue/join?") or "/queue/join" in request.url:
            self._joins.append(request.url)

    def __enter__(self) -> None:
        self._page.on("request", self._note)

    def __exit__(self, *_: object) -> None:
        self._page.remove_listener("request", self._note)
