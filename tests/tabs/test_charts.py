"""Charts: a few hundred points, escaped, light."""

from __future__ import annotations

from core.curve import thinned
from tabs._charts import SHARES, Bar, Curve, bar_chart, chart, share_chart


def test_a_long_curve_keeps_its_peaks() -> None:
    """Of 10,000 points a few hundred are drawn, the one that stands out among them, and the last."""
    points = [(float(step), 1.0) for step in range(10_000)]
    points[5_001] = (5_001.0, 9.0)
    found = thinned(points)
    assert len(found) <= 301
    assert (5_001.0, 9.0) in found
    assert found[-1] == points[-1]


def test_a_chart_escapes_what_it_is_told() -> None:
    """Names come from events; none of them becomes markup."""
    drawn = chart("<b>", [Curve("<script>", [(1, 2.0), (2, 2.0)])])
    assert "<script>" not in drawn
    assert "polyline" in drawn
    assert chart("loss", [Curve("loss", [])]) == ""


def test_shares_have_their_own_frame() -> None:
    """A curve from 0 to 1 is drawn beside chance, with what is told of it; without points there is no chart."""
    drawn = share_chart(
        "ROC", [Curve("<b>", [(0.0, 0.0), (0.5, 1.0), (1.0, 1.0)])], ((0.0, 0.0), (1.0, 1.0)), ["AUC 1"]
    )
    assert "AUC 1" in drawn
    assert "stroke-dasharray" in drawn
    assert "<b>" not in drawn
    assert share_chart("ROC", []) == ""


def test_bars_say_what_they_are() -> None:
    """Each bar has its words for mouse and screen reader, and the ends of the axis can be named."""
    drawn = bar_chart("By length", [Bar(0.0, 0.5, 0.7, "<7>"), Bar(0.5, 1.0, 0.0, "none")], SHARES, ends=("29", "68"))
    assert drawn.count("<rect") == 2
    assert "<title>&lt;7&gt;</title>" in drawn
    assert ">29</text>" in drawn
    assert bar_chart("x", [], SHARES) == ""
