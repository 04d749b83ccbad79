"""Figures for a paper or a slide, drawn by matplotlib from what evaluations and trainings left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.dashboard.curves import Overlay
from core.evaluation.dashboard.row import RunRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE_TYPES = ("png", "svg", "pdf")
WIDTH, HEIGHT, DOTS_PER_INCH = 6.4, 4.0, 200
MOST_LABELS = 25
"""Classes up to which the cells of a confusion matrix have their numbers written in them."""
BOX = "□"
_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans KR")
_OTHER_FONTS = (
    "Source Han Sans SC",
    "Microsoft YaHei",
    "Malgun Gothic",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "SimHei",
)
"""Tried in this order for each letter: matplotlib's own, then whatever Chinese and Korean ones this machine has."""


@dataclass(frozen=True)
class Drawn:
    """A figure as a file."""

    content: bytes
    file_type: str
    unreadable: str = ""
    """Letters for which no font is installed: they are boxes in the figure."""


def draw(paint: Callable[[Figure], None], file_type: str) -> Drawn:
    """Draw a figure and return it as PNG, SVG or PDF; no global state of matplotlib is touched."""
    from matplotlib.figure import Figure

    if file_type not in FIGURE_TYPES:
        raise InvalidInput("error.not_an_option", name="file_type", value=file_type, options=", ".join(FIGURE_TYPES))
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS_PER_INCH, layout="constrained")
    paint(figure)
    missing = _give_fonts(figure)
    held = BytesIO()
    figure.savefig(held, format=file_type)
    return Drawn(held.getvalue(), file_type, missing)


def _give_fonts(figure: Figure) -> str:
    """Let every text use the fonts that are here; letters that none of them has become boxes, and are returned."""
    from matplotlib.text import Text

    fonts = _installed()
    known = frozenset().union(*fonts.values())
    texts = [one for one in figure.findobj(Text) if isinstance(one, Text)]
    letters = {letter for one in texts for letter in one.get_text() if not letter.isspace()}
    missing = {letter for letter in letters if ord(letter) not in known}
    boxes = str.maketrans(dict.fromkeys(missing, BOX))
    for one in texts:
        one.set_fontfamily(list(fonts))
        if missing.intersection(one.get_text()):
            one.set_text(one.get_text().translate(boxes))
    return "".join(sorted(missing))


@cache
def _installed() -> Mapping[str, frozenset[int]]:
    """Return the fonts that are here, and the letters of each."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    names = {one.name for one in fontManager.ttflist}
    here = [name for name in (*_FONTS, *_OTHER_FONTS) if name in names]
    files = {name: fontManager.findfont(FontProperties(family=[name])) for name in here}
    return {name: frozenset(get_font(file).get_charmap()) for name, file in files.items()}


def paint_scores(rows: Sequence[RunRow], metric: str) -> Callable[[Figure], None]:
    """Paint a bar for each run that has the metric, with its 95 % interval; raises InvalidInput where none has."""
    having = [(row, row.metrics[metric]) for row in rows if metric in row.metrics]
    if not having:
        raise InvalidInput("error.runs_without_metric", name=metric)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (_, number) in enumerate(reversed(having)):
            axes.barh(place, number.value, color="C0", alpha=0.8)
            if number.low is not None and number.high is not None:
                ends = [[number.value - number.low], [number.high - number.value]]
                axes.errorbar(number.value, place, xerr=ends, color="black", capsize=3)
        axes.set_yticks(range(len(having)), [row.name for row, _ in reversed(having)])
        axes.set_xlabel(metric)

    return paint


def paint_curves(overlays: Sequence[Overlay], *, log_scale: bool = False) -> Callable[[Figure], None]:
    """Paint a panel for each curve's name, with one line for each run."""
    if not overlays:
        raise InvalidInput("error.runs_without_curves")

    def paint(figure: Figure) -> None:
        columns = min(len(overlays), 2)
        lines = -(-len(overlays) // columns)
        figure.set_size_inches(WIDTH * (1 if columns == 1 else 1.6), HEIGHT * 0.75 * lines)
        panels = figure.subplots(lines, columns, squeeze=False).flatten()
        for panel, one in zip(panels, overlays, strict=False):
            for run, points in one.curves.items():
                panel.plot([step for step, _ in points], [value for _, value in points], label=run)
            panel.set_title(one.name)
            panel.set_yscale("log" if log_scale else "linear")
            panel.legend(fontsize="small")
        for panel in panels[len(overlays) :]:
            panel.set_axis_off()

    return paint


def paint_chart(charts: Mapping[str, Any], name: str) -> Callable[[Figure], None]:
    """Paint one chart of a model's evaluation by its name (PAINTERS); raises InvalidInput where it is not there."""
    painter = PAINTERS.get(name)
    held = charts.get(_PART.get(name, name))
    if painter is None or not held:
        have = [one for one in PAINTERS if charts.get(_PART.get(one, one))]
        raise InvalidInput("error.no_such_figure", name=name, names=", ".join(have))
    return lambda figure: painter(figure.subplots(), held)


def _confusion(axes: Axes, told: Mapping[str, Any]) -> None:
    labels, matrix = told["labels"], told["matrix"]
    axes.imshow(matrix, cmap="Oranges")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("prediction")
    axes.set_ylabel("reference")
    if len(labels) > MOST_LABELS:
        return
    most = max(max(row) for row in matrix)
    for line, row in enumerate(matrix):
        for column, count in enumerate(row):
            colour = "white" if count > most / 2 else "black"
            axes.text(column, line, f"{count:,}", ha="center", va="center", color=colour)


def _reliability(axes: Axes, told: Sequence[Mapping[str, Any]]) -> None:
    filled = [one for one in told if one["count"]]
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.bar(
        [(one["low"] + one["high"]) / 2 for one in filled],
        [one["accuracy"] for one in filled],
        width=1 / max(len(told), 1),
        alpha=0.6,
        edgecolor="black",
    )
    axes.plot([one["confidence"] for one in filled], [one["accuracy"] for one in filled], marker="o", color="C1")
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")


def _roc(axes: Axes, told: Sequence[Mapping[str, Any]]) -> None:
    for one in told:
        curve = one["roc"]
        axes.plot(curve["fpr"], curve["tpr"], label=f"{one['label']} (AUC {curve['auc']:.3f})")
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.legend(fontsize="small")


def _precision_recall(axes: Axes, told: Sequence[Mapping[str, Any]]) -> None:
    for one in told:
        curve = one["pr"]
        axes.plot(curve["recall"], curve["precision"], label=f"{one['label']} (AP {curve['average_precision']:.3f})")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.legend(fontsize="small")


def _lengths(axes: Axes, told: Sequence[Mapping[str, Any]]) -> None:
    middles = [(one["low"] + one["high"]) / 2 for one in told]
    axes.plot(middles, [one["score"] for one in told], marker="o")
    axes.set_xlabel("characters")
    axes.set_ylabel("score")


PAINTERS: Mapping[str, Callable[[Axes, Any], None]] = {
    "confusion": _confusion,
    "reliability": _reliability,
    "roc": _roc,
    "precision_recall": _precision_recall,
    "lengths": _lengths,
}
_PART = {"roc": "curves", "precision_recall": "curves"}
"""Where the data of a figure stand, if not under its own name."""
