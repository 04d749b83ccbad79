"""Training: a real run from the form to its result, seen again after a reload and from a second browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from core.words import say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, open_tab

FINISHED = str(say("say.state_succeeded"))
NAME, STOPPED = "browser-test", "browser-stop"
LONG = 4 * PATIENCE
"""A worker imports the libraries first, beside everything else that this machine does."""


def ask(page: Page, more: str, name: str = NAME) -> None:
    """Choose the sample of reviews, wait until its columns were guessed, and write further settings."""
    open_tab(page, "tab.train")
    page.locator("#train-dataset input").click()
    page.get_by_role("option", name="samples/reviews").click()
    expect(page.locator("#train-column-label input")).to_have_value("label", timeout=PATIENCE)
    page.locator("#train-further button").first.click()
    page.locator("#train-name").locator("textarea, input").first.fill(name)
    page.locator("#train-more textarea").fill(more)


def expect_shown(page: Page, name: str) -> None:
    """Wait until this run is the one that is seen; the latest one was until now."""
    expect(page.locator("#train-view .run-name")).to_have_text(f"run/{name}", timeout=LONG)


def expect_finished(page: Page, name: str = NAME) -> None:
    """Wait until the run has ended well, and shows its curves and metrics."""
    expect_shown(page, name)
    expect(page.locator("#train-view .job-state")).to_have_text(FINISHED, timeout=LONG)
    expect(page.locator("#train-view figure.chart").first).to_be_visible()
    expect(page.locator("#train-view td", has_text="accuracy")).to_be_visible()


def test_a_run_is_started_watched_and_found_again(open_window: OpenWindow) -> None:
    """Tokens come before the start, the result after a reload, and in a second browser."""
    with open_window(leaves=True) as page, open_window() as other:
        ask(page, '{"max_steps": 4, "device": "cpu", "max_length": 32}')
        page.locator("#train-data-run").click()
        expect(page.locator("#train-looked .tokens .token").first).to_be_visible(timeout=PATIENCE)
        page.locator("#train-start").click()
        expect_shown(page, NAME)
        page.reload()
        open_tab(page, "tab.train")
        expect_finished(page)
        other.reload()
        other.locator("#jobs button").first.click()
        expect(other.locator("#jobs-view td", has_text=f"run/{NAME}")).to_be_visible(timeout=PATIENCE)
        ask(other, "")
        expect_finished(other)


def test_a_stopped_run_goes_on_and_answers_beside_its_base(open_window: OpenWindow) -> None:
    """Stop leaves a checkpoint and a button to go on, the drawer shows the state; then base and run are asked alike."""
    steps = '{"max_steps": 120, "per_device_train_batch_size": 2, "device": "cpu", "max_length": 16}'
    with open_window() as page:
        ask(page, steps, STOPPED)
        page.locator("#train-start").click()
        expect_shown(page, STOPPED)
        expect(page.locator("#train-view figure.chart").first).to_be_visible(timeout=LONG)
        page.locator("#train-stop").click()
        expect(page.locator("#train-view .job-state")).to_have_text(str(say("say.state_cancelled")), timeout=LONG)
        expect(page.locator("#train-stop")).to_have_count(0)
        page.locator("#jobs button").first.click()
        row = page.locator("#jobs-view tr", has_text=f"run/{STOPPED}")
        expect(row).to_contain_text(str(say("say.state_cancelled")), timeout=PATIENCE)
        page.locator("#train-resume").click()
        expect_finished(page, STOPPED)
        page.locator("#train-runs-panel button").first.click()
        expect(page.locator("#train-runs td", has_text=f"run/{STOPPED}")).to_be_visible(timeout=PATIENCE)
        page.locator("#train-text textarea").fill("What a wonderful film")
        page.locator("#train-compare").click()
        expect(page.locator("#train-answers section")).to_have_count(2, timeout=PATIENCE)
        expect(page.locator("#train-answers section").last.locator(".provenance")).to_be_visible()
        page.locator("#train-export").click()
        expect(page.locator(f'#train-files a[href$="/{STOPPED}.zip"]')).to_be_visible(timeout=PATIENCE)
        page.locator("#train-continue").click()
        expect(page.locator("#train-model input")).to_have_value(f"run/{STOPPED}", timeout=PATIENCE)
        expect(page.locator("#train-column-text input")).to_have_value("text", timeout=PATIENCE)


def test_columns_are_chosen_from_lists(open_window: OpenWindow, tmp_path: Path) -> None:
    """An upload takes the sample's place; what cannot be guessed is chosen, and read so."""
    file = tmp_path / "films.csv"
    rows = (f"{word} film number {place},{word}" for place in range(10) for word in ("good", "bad"))
    file.write_text("\n".join(("remark,feeling now", *rows)), encoding="utf-8")
    with open_window() as page:
        ask(page, "")
        page.locator("#train-file input[type=file]").set_input_files(file)
        expect(page.locator("#train-column-text input")).to_have_value("remark", timeout=PATIENCE)
        expect(page.locator("#train-dataset input")).to_have_value("")
        page.locator("#train-column-text input").click()
        page.get_by_role("option", name="feeling now").click()
        page.locator("#train-column-label input").click()
        page.get_by_role("option", name="remark").click()
        page.locator("#train-data-run").click()
        expect(page.locator("#train-looked p").first).to_contain_text(
            "text=feeling now, label=remark", timeout=PATIENCE
        )


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
