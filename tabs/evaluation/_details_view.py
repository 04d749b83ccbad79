"""What a page shows of one model of an evaluation: its classes, the confusion matrix, and its curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.words import say
from tabs._charts import SHARES, Bar, Curve, Frame, bar_chart, share_chart
from tabs._events import Visit
from tabs._views import HEAT_MAP_SIDE, notes, paragraph, table
from tabs.evaluation._run_view import number, row_score

Told = Mapping[str, Any]
DIAGONAL = ((0.0, 0.0), (1.0, 1.0))
SHARED = ("right", "f1", "rougeL")
"""Scores of rows from 0 to 1."""

CHOOSE = """
element.addEventListener('click', (event) => {
  const chosen = event.target.closest('button[data-expected], button[data-first]');
  if (!chosen) return;
  trigger('click', { ...chosen.dataset });
  document.querySelector('#evaluate-rows')?.scrollIntoView({ block: 'nearest' });
});
"""
"""A click on a cell tells which it is; the server answers with its rows."""


def show_details(told: Told, model: str, visit: Visit) -> str:
    """Draw the charts of a model; nothing for one that was not evaluated."""
    found = next((one for one in told["models"] if one["name"] == model), None)
    if found is None or not found["charts"]:
        return ""
    charts = found["charts"]
    parts = [_confusion(charts, visit), _classes(charts, visit)]
    drawn = (*_curves(charts, visit), _reliability(charts, visit), _lengths(charts, told, visit))
    graphs = "".join(drawn)
    return "".join(parts) + (f'<div class="charts">{graphs}</div>' if graphs else "")


def _confusion(charts: Told, visit: Visit) -> str:
    if "confusion" not in charts:
        return ""
    found = charts["confusion"]
    if not found:
        return notes([say("say.evaluate_many_classes")], visit.language)
    labels = found["labels"][:HEAT_MAP_SIDE]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in labels)
    rows = zip(labels, found["matrix"], strict=False)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{_cells(name, labels, row, visit)}</tr>' for name, row in rows
    )
    caption = escape(visit.say(say("say.evaluate_confusion")))
    cut = say("say.heat_map_cut", shown=HEAT_MAP_SIDE, length=len(found["labels"]))
    drawn = (
        f'<p class="direction">{caption}</p><div class="table-scroll" tabindex="0" role="group" aria-label="{caption}">'
        f'<table class="heat confusion"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    return drawn + (notes([cut], visit.language) if len(found["labels"]) > HEAT_MAP_SIDE else "")


def _cells(expected: str, labels: Sequence[str], counts: Sequence[int], visit: Visit) -> str:
    """Draw a row of the matrix: each cell as dark as its part of the row; what is counted can be clicked."""
    whole = sum(counts) or 1
    return "".join(
        _cell(expected, label, count, count / whole, visit) for label, count in zip(labels, counts, strict=False)
    )


def _cell(expected: str, predicted: str, count: int, share: float, visit: Visit) -> str:
    if not count:
        return "<td>0</td>"
    told = escape(visit.say(say("say.evaluate_cell", expected=expected, predicted=predicted, count=count)))
    data = f'data-expected="{escape(expected)}" data-predicted="{escape(predicted)}"'
    button = f'<button type="button" {data} title="{told}" aria-label="{told}">{count:,}</button>'
    return f'<td style="--heat:{share:.2f}">{button}</td>'


def _classes(charts: Told, visit: Visit) -> str:
    classes = charts.get("per_class")
    if not classes:
        return ""
    keys = ("precision", "recall", "f1")
    head = [visit.say(say("say.train_label")), *keys]
    head += [visit.say(say(f"say.evaluate_{name}")) for name in ("support", "predicted")]
    rows = [(one["label"], *(number(one[key]) for key in keys), one["support"], one["predicted"]) for one in classes]
    return paragraph(say("say.evaluate_classes"), visit.language, kind="direction") + table(head, rows)


def _curves(charts: Told, visit: Visit) -> tuple[str, ...]:
    found = charts.get("curves") or []
    roc = [Curve(one["label"], _points(one["roc"], "fpr", "tpr")) for one in found]
    pr = [Curve(one["label"], _points(one["pr"], "recall", "precision")) for one in found]
    areas = [f"AUC {number(one['roc']['auc'])}" for one in found]
    precisions = [f"AP {number(one['pr']['average_precision'])}" for one in found]
    return (
        share_chart(visit.say(say("say.evaluate_roc")), roc, DIAGONAL, areas),
        share_chart(visit.say(say("say.evaluate_pr")), pr, (), precisions),
    )


def _points(curve: Told, across: str, up: str) -> list[tuple[float, float]]:
    return list(zip(curve[across], curve[up], strict=True))


def _reliability(charts: Told, visit: Visit) -> str:
    """Draw how often answers are right (bars) beside how sure they are (the dashed diagonal)."""
    bars = [
        Bar(one["low"], one["high"], one["accuracy"], visit.say(_bin(one)))
        for one in charts.get("reliability") or []
        if one["count"]
    ]
    return bar_chart(visit.say(say("say.evaluate_reliability")), bars, SHARES, DIAGONAL)


def _bin(one: Told) -> Any:
    sure, right = (f"{one[name]:.1%}" for name in ("confidence", "accuracy"))
    return say("say.evaluate_bin", count=one["count"], sure=sure, right=right)


def _lengths(charts: Told, told: Told, visit: Visit) -> str:
    """Draw the mean score of rows by their length, as many rows in each bar."""
    found = charts.get("lengths") or []
    if not found:
        return ""
    highest = max(one["score"] for one in found)
    frame = Frame(0, len(found), 0.0, 1.0 if told["row_score"]["name"] in SHARED else highest or 1.0)
    bars = [Bar(place, place + 1, one["score"], visit.say(_length(one))) for place, one in enumerate(found)]
    title = visit.say(say("say.evaluate_lengths", score=row_score(told, visit)))
    return bar_chart(title, bars, frame, ends=(f"{found[0]['low']:,}", f"{found[-1]['high']:,}"))


def _length(one: Told) -> Any:
    return say("say.evaluate_length", low=one["low"], high=one["high"], count=one["count"], score=number(one["score"]))
