"""What a visitor does, in one call each; every wait is for a condition."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import Locator, Page, expect

from core.words import dictionary

PATIENCE = 90_000
"""Milliseconds that a condition may take; the first answer on a busy machine imports torch and loads a model."""


@dataclass(frozen=True)
class Window:
    """One browser window on the app, and what went wrong in it: console errors, requests to other hosts."""

    page: Page
    leaves: bool = False
    problems: list[str] = field(default_factory=list)


def open_tab(page: Page, key: str, language: str = "en") -> None:
    """Open the tab whose title is the word `key`; on a narrow page it may hide behind the tabs' menu."""
    name = dictionary(language)[f"page.{key}"]
    tab = page.get_by_role("tab", name=name, exact=True)
    hidden = page.locator(".overflow-dropdown button", has_text=re.compile(f"^\\s*{re.escape(name)}\\s*$"))
    expect(tab.or_(hidden).first).to_be_attached()
    if tab.count():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
    else:
        hidden.locator("xpath=ancestor::*[contains(@class, 'overflow-menu')]/button").click()
        hidden.click()


def choose_example(page: Page, name: str, first_field: str, place: int = 0) -> None:
    """Press an example's button and wait until its text has arrived."""
    page.locator(f"#{name}-run").wait_for()
    page.locator("button.gallery-item:visible").nth(place).click()
    expect(text_box(page, name, first_field)).not_to_have_value("")


def text_box(page: Page, name: str, field_name: str = "text") -> Locator:
    """Return the box of a task's text field, whether it has one line or many."""
    return page.locator(f"#{name}-{field_name}").locator("textarea, input").first


def press_run(page: Page, name: str) -> None:
    """Press a panel's Run."""
    page.locator(f"#{name}-run").click()


def expect_answer(page: Page, name: str) -> Locator:
    """Wait until a panel shows a whole answer, with its provenance; returns the view."""
    view = page.locator(f"#{name}-view")
    answer, dialog = view.locator(".provenance"), page.get_by_test_id("toast-body")
    expect(answer.or_(dialog).first).to_be_visible(timeout=PATIENCE)
    assert dialog.all_inner_texts() == []
    return view


def expect_dialog(page: Page, sentence: str) -> None:
    """Wait for a dialog that says exactly `sentence`, then close it."""
    expect(page.get_by_test_id("toast-body").filter(has_text=sentence)).to_be_visible(timeout=PATIENCE)
    page.get_by_test_id("toast-body").locator("button").first.click()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
