"""Token classification: the names in a text, in colour."""

from __future__ import annotations

from typing import Any

from core.atelier import Atelier
from core.tasks.text.token_classification import (
    TASK,
    TokenClassification,
    TokenClassificationSettings,
    classify_tokens,
)
from core.words import say
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import coloured, counts, paragraph, table
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.token_classification"
EXAMPLES = Examples(
    ["text"],
    [
        ["Angela Merkel met Tim Cook of Apple in Berlin."],
        ["Samsung Electronics, based in Suwon, hired Kim Min-jun from Google."],
    ],
)


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/token_classification`."""
    task = TextTask(
        task=TASK,
        settings=TokenClassificationSettings,
        answer=classify_tokens,
        show=_show,
        describe="Find the names in a text: persons, places, organisations, or whatever types the model knows.",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {"text": control(TokenClassificationSettings, "text", lines=5, elem_id="token_classification-text")}


def _more() -> dict[str, Any]:
    return controls(TokenClassificationSettings, "aggregation_strategy", "stride")


def _show(answer: TokenClassification, _: Any, visit: Visit) -> str:
    if not answer.entities:
        return paragraph(say("say.no_entities"), visit.language)
    head = [visit.say(say(f"say.entity_{name}")) for name in ("text", "type", "score", "start", "end")]
    rows = [
        (answer.text[one.start : one.end], one.label, f"{one.score:.3f}", one.start, one.end) for one in answer.entities
    ]
    types = sorted(answer.counts)
    return coloured(answer.segments, types) + counts(sorted(answer.counts.items())) + table(head, rows)
