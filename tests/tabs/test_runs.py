"""The runs panel: the table that people see, curves, figures and files, tags, and what a visitor may not delete."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.atelier import Atelier, open_atelier
from core.errors import AtelierError, NotAllowed, UnknownName
from core.settings import Mode, Settings
from tabs._events import Visit
from tabs.evaluation._runs_desk import RunsHandlers
from tests.core.evaluation.dashboard.runs import add_evaluation, add_training

MARKUP = "<img src=x onerror=alert(1)>"
VISIT = Visit()


def opened(folder: Path, mode: Mode = Mode.LOCAL) -> tuple[Atelier, RunsHandlers]:
    """Open an instance and the panel's handlers."""
    atelier = open_atelier(Settings(home=folder / "home", mode=mode))
    return atelier, RunsHandlers(atelier)


@pytest.fixture
def filled(tmp_path: Path) -> tuple[RunsHandlers, list[str]]:
    """Give handlers over two trainings and an evaluation, and their jobs."""
    atelier, by = opened(tmp_path)
    desk = atelier.runs_desk
    jobs = [add_training(desk, name, [2.0, 1.0], eval_accuracy=0.5) for name in ("one", "two")]
    return by, [*jobs, add_evaluation(desk, {"starter/sentiment": 0.9}, data=MARKUP)]


def test_the_table_shows_what_was_found(filled: tuple[RunsHandlers, list[str]]) -> None:
    """Names, kinds and metrics with intervals are seen; what a visitor wrote stays text; nothing found says so."""
    by, _ = filled
    view, result = by.list(VISIT)
    assert view.count("<tr>") == 4
    assert "0.9 [0.8, 1]" in view
    assert MARKUP not in view
    assert (result["found"], result["metrics"]) == (3, ["accuracy"])
    view, result = by.list(VISIT, search="nowhere")
    assert "There is no such run" in view
    assert result["runs"] == []
    view, _ = by.list(VISIT, limit=1)
    assert "1 of 3 lines" in view


def test_an_opened_panel_offers_runs_and_orders(filled: tuple[RunsHandlers, list[str]]) -> None:
    """Each job can be chosen by its names and state, each metric as an order."""
    by, jobs = filled
    view, offered, orders, metrics = by.open(VISIT, sort="of another day")
    assert "run/one" in view
    assert {job for _, job in offered["choices"]} == set(jobs)
    assert "accuracy" in orders["choices"]
    assert metrics["choices"] == ["", "accuracy"]


def test_curves_lie_over_each_other(filled: tuple[RunsHandlers, list[str]]) -> None:
    """Both trainings have a line in the chart of the loss, with a logarithmic scale, too; ids may come as text."""
    by, (one, two, _) = filled
    view, told = by.curves(VISIT, [one, two])
    assert view.count("<polyline") == 6
    assert told[0]["curves"]["run/one"] == [[1, 2.0], [2, 1.0]]
    view, _ = by.curves(VISIT, f"{one}, {two}", metric="loss", log_scale=True)
    assert view.count("<polyline") == 2


def test_figures_and_tables_are_files(filled: tuple[RunsHandlers, list[str]]) -> None:
    """A figure is seen and offered, a PDF offered alone; a table has the runs that were chosen, or all."""
    by, jobs = filled
    view, offered = by.figure(VISIT, jobs, figure="scores")
    assert view.startswith('<img class="figure" alt="scores" src="data:image/png;base64,')
    assert Path(offered["value"]).read_bytes().startswith(b"\x89PNG")
    view, offered = by.figure(VISIT, jobs[2:], figure="confusion", file_type="pdf")
    assert view == ""
    assert Path(offered["value"]).name == "confusion.pdf"
    for chosen, lines in ((jobs[:1], 2), ((), 4)):
        table = Path(by.export(VISIT, chosen)["value"]).read_text("utf-8-sig")
        assert len(table.splitlines()) == lines


def test_tags_and_deletion(filled: tuple[RunsHandlers, list[str]]) -> None:
    """Several runs are tagged at once; deleted ones are gone; none chosen is refused in words."""
    by, jobs = filled
    assert "good, 好" in by.tag(VISIT, jobs[:2], "good, 好")
    assert by.list(VISIT, tags="好")[1]["found"] == 2
    assert "2 run(s) deleted" in by.delete(VISIT, jobs[:2])
    assert by.list(VISIT)[1]["found"] == 1
    for act in (lambda: by.tag(VISIT, [], "x"), lambda: by.delete(VISIT, "")):
        with pytest.raises(AtelierError, match="No run is chosen"):
            act()


def test_a_visitor_sees_their_own_and_deletes_no_training(tmp_path: Path) -> None:
    """On a Space another's run is unknown, and trainings are the owner's to delete."""
    atelier, by = opened(tmp_path, Mode.SPACE)
    mine = add_evaluation(atelier.runs_desk, {"a": 0.5}, owner="ada")
    training = add_training(atelier.runs_desk, "one", [1.0], owner="ada")
    ada, bob = Visit(visitor="ada"), Visit(visitor="bob")
    assert (by.list(ada)[1]["found"], by.list(bob)[1]["found"]) == (2, 0)
    with pytest.raises(UnknownName):
        by.delete(bob, [mine])
    with pytest.raises(NotAllowed):
        by.delete(ada, [training])
    by.delete(ada, [mine])
    assert by.list(ada)[1]["found"] == 1
