"""The table of runs, their curves over each other, and a figure that was drawn of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from core.evaluation.dashboard.curves import Overlay
from core.evaluation.dashboard.figures import Drawn
from core.evaluation.dashboard.files import in_words
from core.evaluation.dashboard.listing import Listed
from core.evaluation.dashboard.row import RunRow
from core.words import say
from tabs._charts import Curve, chart
from tabs._events import Visit
from tabs._views import notes, paragraph, table

MOST_METRICS = 5
"""Columns of metrics in the table, the most frequent; the file has all."""
COLUMNS_SHOWN = ("name", "kind", "state", "task", "data", "created", "tags")
SHOWN_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


def show_runs(found: Listed, visit: Visit) -> str:
    """Draw the table, or what to do where there are no runs."""
    if not found.rows:
        return paragraph(say("say.runs_none" if not found.found else "say.runs_empty"), visit.language, kind="empty")
    metrics = found.metrics[:MOST_METRICS]
    head = [*(visit.say(say(f"say.runs_{name}")) for name in COLUMNS_SHOWN), *metrics]
    drawn = table(head, [_cells(row, metrics, visit) for row in found.rows])
    more = [say("say.runs_more", shown=len(found.rows), found=found.found)] if found.found > len(found.rows) else []
    return drawn + notes(more, visit.language)


def _cells(row: RunRow, metrics: Sequence[str], visit: Visit) -> tuple[str, ...]:
    created = datetime.fromtimestamp(row.created, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    kind, state = visit.say(say(f"say.runs_kind_{row.kind}")), visit.say(say(f"say.state_{row.state}"))
    own = (row.name, kind, state, row.task, row.data, created, ", ".join(row.tags))
    return (*own, *(in_words(row.metrics.get(name)) for name in metrics))


def show_curves(overlays: Sequence[Overlay], visit: Visit, *, log_scale: bool) -> str:
    """Draw a chart for each curve's name, with a line for each run."""
    drawn = [
        chart(one.name, [Curve(run, points) for run, points in one.curves.items()], log_scale=log_scale)
        for one in overlays
    ]
    if not any(drawn):
        return paragraph(say("error.runs_without_curves"), visit.language, kind="empty")
    return f'<div class="charts">{"".join(drawn)}</div>'


def show_figure(drawn: Drawn, name: str) -> str:
    """Show a figure where a browser can; a PDF is only offered as a file."""
    kind = SHOWN_TYPES.get(drawn.file_type)
    if kind is None:
        return ""
    return f'<img class="figure" alt="{escape(name)}" src="data:{kind};base64,{b64encode(drawn.content).decode()}">'
