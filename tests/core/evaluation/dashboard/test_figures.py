"""Figures to take along: every kind in every file type, with Chinese and Korean letters that can be read."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from core.errors import InvalidInput, UnknownName
from core.evaluation.dashboard.desk import FigureSettings, RunsDesk
from core.evaluation.dashboard.figures import FIGURE_TYPES, PAINTERS, draw
from tests.core.evaluation.dashboard.runs import add_evaluation, add_training, new_desk

BEGINNINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.fixture
def desk(tmp_path: Path) -> RunsDesk:
    """Give a desk without runs."""
    return new_desk(tmp_path)


@pytest.mark.parametrize("figure", ["scores", *PAINTERS])
def test_every_figure_of_an_evaluation(desk: RunsDesk, figure: str) -> None:
    """All are drawn, in all file types; the pictures are not empty."""
    job = add_evaluation(desk, {"模型": 0.5, "b": 0.7})
    for file_type in FIGURE_TYPES:
        drawn = desk.figure([job], FigureSettings(figure=figure, file_type=file_type))
        assert drawn.content.startswith(BEGINNINGS[file_type])
    with Image.open(BytesIO(desk.figure([job], FigureSettings(figure=figure)).content)) as picture:
        assert picture.width > 600
        assert len(picture.convert("L").getcolors() or ()) > 10


def test_curves_of_trainings(desk: RunsDesk) -> None:
    """Two trainings in one figure, on a logarithmic scale if wished."""
    jobs = [add_training(desk, name, [3.0, 2.0, 1.0]) for name in ("一", "둘")]
    plain = desk.figure(jobs, FigureSettings(figure="curves", file_type="svg")).content
    logarithmic = desk.figure(jobs, FigureSettings(figure="curves", file_type="svg", log_scale=True)).content
    assert plain != logarithmic


def test_letters_without_a_font_are_told() -> None:
    """What no installed font can draw is named; what can be drawn is not."""
    drawn = draw(lambda figure: figure.suptitle("loss \U0010fffd") and None, "png")
    assert drawn.unreadable == "\U0010fffd"


def test_what_cannot_be_drawn_is_refused(desk: RunsDesk) -> None:
    """Two evaluations for one matrix, a training, a model or a metric that is not there, another file type."""
    evaluation, training = add_evaluation(desk, {"a": 0.5}), add_training(desk, "run", [1.0], eval_loss=1.0)
    for jobs, settings in (
        ([evaluation, training], FigureSettings(figure="confusion")),
        ([training], FigureSettings(figure="confusion")),
        ([evaluation], FigureSettings(metric="colour")),
        ([training], FigureSettings(figure="curves", metric="colour")),
    ):
        with pytest.raises(InvalidInput):
            desk.figure(jobs, settings)
    with pytest.raises(UnknownName, match="nobody"):
        desk.figure([evaluation], FigureSettings(figure="confusion", model="nobody"))
    with pytest.raises(InvalidInput):
        FigureSettings(file_type="gif")
