"""Text classification: sentiment and others."""

from __future__ import annotations

from typing import Any

from core.atelier import Atelier
from core.tasks.text.encoder import Lane
from core.tasks.text.text_classification import TASK, TextClassification, TextClassificationSettings, classify_text
from tabs._events import Visit
from tabs._form import control, controls
from tabs._language import word
from tabs._views import bars, notes, ran_on
from tabs.text._panel import Answer, panel

TITLE = "task.text_classification"


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/text_classification`."""

    def _text_classification(visit: Visit, **values: Any) -> Answer:
        """Label a text: sentiment, topic, emotion, whatever the model was fine-tuned for."""
        settings = TextClassificationSettings(**values)
        lane = Lane(cancel=visit.cancel, report=visit.report)
        return _show(classify_text(settings, atelier.registry, lane), visit)

    with panel("text_classification", TASK, _text_classification, wishes) as parts:
        parts.inputs["text"] = control(TextClassificationSettings, "text", lines=5, elem_id="text_classification-text")
        parts.inputs.update(controls(TextClassificationSettings, "top_k", "function_to_apply"))
        parts.examples = [["I loved every minute of it."], ["The plot is thin and the jokes fall flat."]]
        parts.example_inputs = ["text"]


def _show(answer: TextClassification, visit: Visit) -> Answer:
    view = bars((one.label, one.score) for one in answer.scores) + notes(answer.notes, visit.language)
    provenance = answer.provenance.as_dict()
    return view + ran_on(provenance, visit.language), "", answer.result, provenance
