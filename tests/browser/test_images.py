"""Images: drawing as a person does it, from the words to the gallery, with a tiny pipeline from a folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.words import say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, open_tab
from tests.fakes.pipelines import tiny_pipeline

FINISHED, STOPPED = (str(say(f"say.state_{name}")) for name in ("succeeded", "cancelled"))
PHONE = {"width": 390, "height": 844}
MANY_STEPS = 200


@pytest.fixture(scope="module")
def model() -> str:
    """Give a tiny Stable Diffusion pipeline."""
    return str(tiny_pipeline("sd"))


def open_images(page: Page, model: str, prompt: str = "red heart") -> None:
    """Open the tab, choose the model and say what to draw."""
    open_tab(page, "tab.images")
    page.locator("#images-prompt textarea").fill(prompt)
    box = page.locator("#images-model input")
    box.fill(model)
    box.press("Enter")
    box.press("Tab")
    expect(page.locator("#images-plan")).to_contain_text("64 × 64", timeout=PATIENCE)


def number(page: Page, name: str, value: int) -> None:
    """Type a number into a shared setting."""
    box = page.locator(f"#images-{name} input[type=number]")
    box.fill(str(value))
    box.press("Tab")


def expect_state(page: Page, words: str) -> None:
    """Wait until the latest job's state is told by `words`."""
    expect(page.locator("#images-view .job-state")).to_have_text(words, timeout=2 * PATIENCE)


def pictures(page: Page) -> Locator:
    """Return the pictures of the result."""
    return page.locator("#images-gallery .gallery-item img, #images-gallery .thumbnail-item img")


def run(page: Page, name: str) -> None:
    """Press a panel's Run, and wait until the last result has made way."""
    view = page.locator("#images-view .prose")
    before = view.inner_text()
    page.locator(f"#{name}-run").click()
    expect(view).not_to_have_text(before, timeout=PATIENCE, use_inner_text=True)


def test_from_words_to_a_painted_mask(open_window: OpenWindow, model: str) -> None:
    """A reload in the middle loses nothing; the picture goes on to be inpainted where the mask is painted."""
    with open_window(leaves=True) as page:
        open_images(page, model)
        number(page, "seed", 5)
        number(page, "num_inference_steps", 60)
        run(page, "text_to_image")
        expect(page.locator("#images-view .job-state")).not_to_have_text(FINISHED)
        page.reload()
        open_images(page, model)
        expect_state(page, FINISHED)
        expect(pictures(page)).to_have_count(1, timeout=PATIENCE)
        page.locator("#images-to-inpainting").click()
        canvas = page.locator("#inpainting-painter canvas")
        expect(canvas).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#images")).to_be_in_viewport()
        canvas.hover(position={"x": 30, "y": 30})
        page.mouse.down()
        canvas.hover(position={"x": 90, "y": 60})
        page.mouse.up()
        number(page, "num_inference_steps", 3)
        run(page, "inpainting")
        expect_state(page, FINISHED)
        expect(page.locator("#images-view .provenance")).to_be_visible()
        assert page.get_by_test_id("toast-body").all_inner_texts() == []


def test_stop_keeps_what_is_done_and_the_gallery_restores_it(
    open_window: OpenWindow, model: str, tmp_path: Path
) -> None:
    """Stop ends a long grid within a step; its first picture is kept, and its recipe sets the form again."""
    with open_window() as page:
        open_images(page, model, "pizza")
        number(page, "num_inference_steps", MANY_STEPS)
        page.locator("#images-more button").first.click()
        page.locator("#images-grid button").first.click()
        page.locator("#images-x_axis input").click()
        page.get_by_role("option", name="seed", exact=True).click()
        page.locator("#images-x_values").locator("textarea, input").first.fill("11, 12, 13, 14, 15, 16")
        run(page, "text_to_image")
        expect(pictures(page).first).to_be_visible(timeout=2 * PATIENCE)
        page.locator("#images-stop").click()
        expect_state(page, STOPPED)
        open_tab(page, "task.pictures")
        page.locator("#pictures-gallery button").first.click()
        link = page.locator("#pictures-view a[download]")
        expect(link).to_be_visible(timeout=PATIENCE)
        with page.expect_download() as waiting:
            link.click()
        path = tmp_path / "kept.png"
        waiting.value.save_as(path)
        open_tab(page, "task.text_to_image")
        number(page, "num_inference_steps", 3)
        page.locator("#images-restore-panel button").first.click()
        page.locator("#images-restore input[type=file]").set_input_files(path)
        expect(page.locator("#images-num_inference_steps input[type=number]")).to_have_value(str(MANY_STEPS))
        expect(page.locator("#images-seed input")).to_have_value("11")


def test_on_a_phone_nothing_runs_off_the_side(open_window: OpenWindow) -> None:
    """On 390 pixels all panels can be reached, and no page is wider than the screen."""
    with open_window(viewport=PHONE, locale="zh-TW", color_scheme="dark") as page:
        open_tab(page, "tab.images", "zh-TW")
        for key in ("image_to_image", "inpainting", "controlnet", "pictures"):
            open_tab(page, f"task.{key}", "zh-TW")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0
        expect(page.locator("#pictures-view")).not_to_have_text(re.compile(r"^\s*$"))
