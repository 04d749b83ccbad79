"""The page itself: four languages, a phone, light and dark, for everybody, and light to load."""

from __future__ import annotations

from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.settings import LIMITS
from core.words import LANGUAGES, dictionary, say
from tabs.text import PANELS
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, expect_answer, open_tab, press_run, text_box

INSIDE = ("evaluate.runs", "evaluate.given")
"""Tabs of the Evaluate tab, which are not there before it is opened."""
TABS = [
    *(panel.TITLE for panel in PANELS),
    *("task.text_batch", "tab.chat", "tab.images", "tab.train", "tab.evaluate", *INSIDE, "tab.side_by_side"),
    "tab.models",
]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
MOST_REQUESTS, MOST_BYTES = 110, 550_000
"""The budget of the first page: measured 98 requests and 397 KB (Gradio's own scripts, mostly)."""

GRADIOS_OWN = {
    "aria-roledescription": "line-number",  # the JSON viewer describes its line numbers without giving them a role
    "aria-allowed-attr": 'aria-label="Empty value"',  # an empty File or JSON component labels a plain div
}
"""Rules that Gradio's components break, and the mark of the elements concerned; nothing of ours is excused."""


@pytest.mark.parametrize(
    ("wish", "language"), [("en-US", "en"), ("zh-TW", "zh-TW"), ("zh-HK", "zh-TW"), ("zh-CN", "zh-CN"), ("ko-KR", "ko")]
)
def test_the_page_speaks_the_browsers_language(open_window: OpenWindow, wish: str, language: str) -> None:
    """Every word on the page and every sentence from the server is in the language the browser asks for."""
    words = dictionary(language)
    with open_window(locale=wish) as page:
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("#text_classification-run")).to_have_text(words["page.run"])
        expect(page.locator("#text_classification-view .empty")).to_have_text(words["page.empty"])
        for title in TABS:
            if title not in INSIDE:
                expect(page.get_by_text(words[f"page.{title}"], exact=True).first).to_be_attached()
        assert "__i18n__" not in page.inner_text("body")
        press_run(page, "text_classification")
        sentence = say("error.text_empty", name="text", limit=LIMITS.text_characters).in_language(language)
        expect(page.get_by_test_id("toast-body").filter(has_text=sentence)).to_be_visible(timeout=PATIENCE)
        open_tab(page, "tab.evaluate", language)
        for title in INSIDE:
            expect(page.get_by_role("tab", name=words[f"page.{title}"], exact=True)).to_be_visible()


def test_a_link_changes_the_language_for_good(open_window: OpenWindow) -> None:
    """The links at the top switch the language, and a reload without the link keeps it."""
    with open_window(leaves=True) as page:
        for language in ("ko", "zh-CN", "zh-TW"):
            page.locator(f'a[hreflang="{language}"]').click()
            expect(page.locator("html")).to_have_attribute("lang", language)
            expect(page.locator("#text_classification-run")).to_have_text(dictionary(language)["page.run"])
        page.goto(page.url.split("?")[0])
        expect(page.locator("#text_classification-run")).to_have_text(dictionary("zh-TW")["page.run"])
        expect(page.locator("html")).to_have_attribute("lang", "zh-TW")


def test_every_language_can_be_chosen(open_window: OpenWindow) -> None:
    """There is one link for each language, marked with its code."""
    with open_window() as page:
        links = page.locator("a[hreflang]")
        assert links.evaluate_all("links => links.map(link => link.hreflang)") == list(LANGUAGES)


def test_a_phone_needs_no_sideways_scrolling(open_window: OpenWindow) -> None:
    """At 390 pixels no tab is wider than the screen, and a task can be done."""
    with open_window(**PHONE) as page:
        text_box(page, "text_classification").fill("A wonderful evening.")
        press_run(page, "text_classification")
        expect_answer(page, "text_classification")
        for title in TABS:
            open_tab(page, title)
            wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert wide <= seen, title


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_every_tab(open_window: OpenWindow, theme: str) -> None:
    """The checker axe finds nothing serious or critical on any tab, by day and by night, an answer included."""
    with open_window(f"?__theme={theme}", reduced_motion="reduce") as page:
        text_box(page, "text_classification").fill("A wonderful evening.")
        press_run(page, "text_classification")
        expect_answer(page, "text_classification")
        for key in ("code", "json"):
            page.get_by_role("button", name=dictionary("en")[f"page.{key}"]).locator("visible=true").click()
        expect(page.locator("#text_classification-provenance")).to_be_visible()
        page.locator("#footer-line summary").click()
        expect(page.locator("#footer-line li").first).to_be_visible()
        found = {title: violations(page, title) for title in TABS}
        assert {title: problems for title, problems in found.items() if problems} == {}


def violations(page: Page, title: str) -> list[str]:
    """Return what axe calls serious or critical on a tab: rule, element, message."""
    open_tab(page, title)
    page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")
    return [
        f"{rule['id']}: {node['html'][:150]} {reason(node)}"
        for rule in Axe().run(page)["violations"]
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"]
        if GRADIOS_OWN.get(rule["id"], "nothing is excused") not in node["html"]
    ]


def reason(node: dict[str, Any]) -> str:
    """Return axe's words for one element."""
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])


def test_the_first_page_is_light(open_window: OpenWindow) -> None:
    """A first visit stays within the budget of requests and bytes, and asks no other host."""
    sizes: list[int] = []
    with open_window(leaves=True) as page:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.clearBrowserCache")
        session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.reload()
        page.locator("#text_classification-run").wait_for()
        expect(page.locator("#footer-line summary")).to_be_visible(timeout=PATIENCE)
    assert 10 < len(sizes) <= MOST_REQUESTS
    assert 50_000 < sum(sizes) <= MOST_BYTES
