"""Text classification: sentiment and others."""

from __future__ import annotations

from typing import Any

from core.atelier import Atelier
from core.tasks.text.text_classification import TASK, TextClassification, TextClassificationSettings, classify_text
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import bars
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.text_classification"
EXAMPLES = Examples(
    ["text"],
    [
        ["I loved every minute of it."],
        ["The plot is thin and the jokes fall flat."],
        ["Not bad at all, though the ending drags."],
    ],
)


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/text_classification`."""
    task = TextTask(
        task=TASK,
        settings=TextClassificationSettings,
        answer=classify_text,
        show=_show,
        describe="Label a text: sentiment, topic, emotion, whatever the model was fine-tuned for.",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {"text": control(TextClassificationSettings, "text", lines=5, elem_id="text_classification-text")}


def _more() -> dict[str, Any]:
    return controls(TextClassificationSettings, "top_k", "function_to_apply")


def _show(answer: TextClassification, _: Any, __: Visit) -> str:
    return bars((one.label, one.score) for one in answer.scores)
