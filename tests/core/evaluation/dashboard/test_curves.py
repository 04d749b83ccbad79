"""Curves of several trainings: over each other, smoothed, thinned, read on from where they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.curve import MOST_POINTS
from core.errors import InvalidInput, UnknownName
from core.evaluation.dashboard.curves import CurveSettings, smoothed
from tests.core.evaluation.dashboard.runs import add_evaluation, add_training, new_desk


def test_runs_share_a_chart(tmp_path: Path) -> None:
    """Each curve's chart has a line for each run that has one; losses come first."""
    desk = new_desk(tmp_path)
    jobs = [add_training(desk, "first", [3.0, 2.0], eval_loss=2.5), add_training(desk, "second", [1.0, 0.5])]
    charts = desk.curves(jobs, CurveSettings())
    assert [one.name for one in charts] == ["loss", "eval_loss", "learning_rate"]
    assert charts[0].curves == {"run/first": [(1, 3.0), (2, 2.0)], "run/second": [(1, 1.0), (2, 0.5)]}
    assert list(charts[1].curves) == ["run/first"]
    (only,) = desk.curves(jobs, CurveSettings(metric="learning_rate"))
    assert only.curves["run/first"] == [(1, 0.1), (2, 0.05)]


def test_long_curves_are_thinned_and_keep_their_extremes(tmp_path: Path) -> None:
    """Thousands of points are a few hundred on a screen, the highest of them among these."""
    desk = new_desk(tmp_path)
    losses = [1 + (step == 777) * 50 for step in range(2_000)]
    (chart, _) = desk.curves([add_training(desk, "long", losses)], CurveSettings())
    points = chart.curves["run/long"]
    assert len(points) <= MOST_POINTS
    assert max(value for _, value in points) == 51


def test_smoothing_is_tensorboards() -> None:
    """An exponential average that does not begin at zero; without weight, what was measured."""
    points = [(1.0, 4.0), (2.0, 0.0), (3.0, 2.0)]
    assert smoothed(points, 0.0) == points
    found = smoothed(points, 0.5)
    assert found[0] == (1.0, 4.0)
    assert found[1][1] == pytest.approx((0.5 * 4 * 0.5 + 0.5 * 0) / 0.75)
    assert smoothed([(1.0, 7.0), (2.0, 7.0)], 0.9)[1][1] == pytest.approx(7.0)


def test_what_has_no_curves_is_refused(tmp_path: Path) -> None:
    """An evaluation has none, none chosen is none, another's job is unknown."""
    desk = new_desk(tmp_path)
    evaluation = add_evaluation(desk, {"a": 0.5})
    for jobs in ((), [evaluation], ["0" * 32] * 21):
        with pytest.raises(InvalidInput):
            desk.curves(jobs, CurveSettings())
    mine = add_training(desk, "mine", [1.0], owner="ada")
    desk.curves([mine], CurveSettings(), "ada")
    with pytest.raises(UnknownName):
        desk.curves([mine], CurveSettings(), "bob")
