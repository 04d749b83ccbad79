"""Batch: a whole table as a job that outlives the page."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.words import Sentence, dictionary, say
from tests.browser.conftest import OpenWindow
from tests.browser.steps import PATIENCE, open_tab, press_run

NAME = "text_batch"
RUNNING, FINISHED, STOPPED = (str(say(f"say.state_{name}")) for name in ("running", "succeeded", "cancelled"))
HEAD = "id,review\n"
ROWS, ROWS_AT_ONCE, TOO_MANY_TO_FINISH = 600, 256, 20_000


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Give a table that keeps the starter busy for some seconds."""
    return write(tmp_path / "reviews.csv", ROWS)


def write(path: Path, rows: int) -> Path:
    """Write a table of `rows` reviews, no two alike."""
    lines = (
        f"{row},Evening {row}: the film was long and the room was {'warm' if row % 2 else 'cold'}.\n"
        for row in range(rows)
    )
    path.write_text(HEAD + "".join(lines), encoding="utf-8")
    return path


def upload(page: Page, path: Path) -> None:
    """Choose a file and wait until its text column was guessed."""
    open_tab(page, f"task.{NAME}")
    page.locator(f"#{NAME}-run").wait_for()
    page.locator(f"#{NAME}-file input[type=file]").set_input_files(path)
    expect(page.locator(f"#{NAME}-column input")).to_have_value("review")


def job_id(page: Page) -> str:
    """Return the id of the job that the page shows."""
    box = page.locator(f"#{NAME}-job").locator("textarea, input").first
    expect(box).not_to_have_value("", timeout=PATIENCE)
    return box.input_value()


def expect_state(page: Page, sentence: str) -> None:
    """Wait until the job's state is told by `sentence`."""
    expect(page.locator(f"#{NAME}-view .job-state")).to_have_text(sentence, timeout=PATIENCE)


def downloaded(page: Page, folder: Path) -> list[dict[str, str]]:
    """Press the CSV among the result's files and return its rows."""
    with page.expect_download() as waiting:
        page.locator(f"#{NAME}-result tr", has_text="csv").locator("a").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_reload_in_the_middle_loses_nothing(open_window: OpenWindow, table: Path, tmp_path: Path) -> None:
    """A reloaded page and a second browser find the running batch again, and both get its files."""
    with open_window(leaves=True) as page, open_window(leaves=True) as other:
        upload(page, table)
        press_run(page, NAME)
        expect_state(page, RUNNING)
        expect(page.locator(f"#{NAME}-view progress")).to_be_visible(timeout=PATIENCE)
        job = job_id(page)
        page.reload()
        other.reload()
        for one in (page, other):
            open_tab(one, f"task.{NAME}")
            expect_state(one, FINISHED)
            assert job_id(one) == job
        rows = downloaded(other, tmp_path)
        assert [row["id"] for row in rows] == [str(row) for row in range(ROWS)]
        assert {row["status"] for row in rows} == {"ok"}
        expect(page.locator(f"#{NAME}-view .provenance")).to_contain_text("starter/sentiment")


def test_stop_keeps_the_rows_that_are_done(open_window: OpenWindow, tmp_path: Path) -> None:
    """A stopped batch ends as stopped and hands out what it had done by then."""
    with open_window() as page:
        upload(page, write(tmp_path / "long.csv", TOO_MANY_TO_FINISH))
        press_run(page, NAME)
        expect_state(page, RUNNING)  # the view held the latest finished batch until now
        expect(page.locator(f"#{NAME}-view .bars li").first).to_be_visible(timeout=PATIENCE)
        page.locator(f"#{NAME}-stop").click()
        expect_state(page, STOPPED)
        rows = downloaded(page, tmp_path)
        assert ROWS_AT_ONCE <= len(rows) < TOO_MANY_TO_FINISH
        assert [row["id"] for row in rows] == [str(row) for row in range(len(rows))]


def test_a_wrong_column_is_refused_in_words(open_window: OpenWindow, table: Path) -> None:
    """A column that is not there opens a dialog that names those that are."""
    with open_window() as page:
        upload(page, table)
        column = page.locator(f"#{NAME}-column input")
        column.fill("opinion")
        column.press("Enter")
        press_run(page, NAME)
        sentence = Sentence("error.no_such_column", {"column": "opinion", "columns": "id, review"})
        expect(page.get_by_test_id("toast-body").filter(has_text=str(sentence))).to_be_visible(timeout=PATIENCE)
        expect(column).to_have_value("opinion")


def test_zero_shot_asks_for_its_labels(open_window: OpenWindow, table: Path) -> None:
    """Choosing a task shows the fields it needs, and no others."""
    with open_window() as page:
        upload(page, table)
        expect(page.locator(f"#{NAME}-labels")).not_to_be_visible()
        page.locator(f"#{NAME}-task input").click()
        page.get_by_role("option", name="zero-shot-classification").click()
        expect(page.locator(f"#{NAME}-labels")).to_be_visible()
        expect(page.locator(f"#{NAME}-question")).not_to_be_visible()
        press_run(page, NAME)
        sentence = dictionary("en")["error.labels_missing"]
        expect(page.get_by_test_id("toast-body").filter(has_text=sentence)).to_be_visible(timeout=PATIENCE)
