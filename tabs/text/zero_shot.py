"""Zero-shot classification: labels of your own, no training."""

from __future__ import annotations

from typing import Any

from core.atelier import Atelier
from core.tasks.text.zero_shot_classification import (
    TASK,
    ZeroShotClassification,
    ZeroShotClassificationSettings,
    classify_zero_shot,
)
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import bars
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.zero_shot_classification"
EXAMPLES = Examples(
    ["text", "labels"],
    [
        ["How do I move money from my savings to my checking account?", "banking, travel, cooking, small talk"],
        ["Book me a window seat to Seoul for next Friday.", "banking, travel, cooking, small talk"],
    ],
)


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/zero_shot_classification`."""
    task = TextTask(
        task=TASK,
        settings=ZeroShotClassificationSettings,
        answer=classify_zero_shot,
        show=_show,
        describe="Sort a text under labels of your own, separated by commas; one label fits best, or several may fit.",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {
        "text": control(ZeroShotClassificationSettings, "text", lines=4, elem_id="zero_shot_classification-text"),
        "labels": control(
            ZeroShotClassificationSettings, "labels", elem_id="zero_shot_classification-labels", value=None
        ),
    }


def _more() -> dict[str, Any]:
    return controls(ZeroShotClassificationSettings, "multi_label", "hypothesis_template")


def _show(answer: ZeroShotClassification, _: Any, __: Visit) -> str:
    return bars((one.label, one.score) for one in answer.scores)
