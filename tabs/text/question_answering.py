"""Question answering: the answer, marked where it stands."""

from __future__ import annotations

from typing import Any

from core.atelier import Atelier
from core.tasks.text.question_answering import (
    TASK,
    QuestionAnswering,
    QuestionAnsweringSettings,
    answer_question,
)
from core.words import say
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import marked, notes, paragraph, table
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.question_answering"
DOUBTFUL = 0.05
"""Below this score the context most likely does not hold the answer."""
CONTEXT = (
    "The Joseon dynasty was founded by Yi Seong-gye in July 1392 and was replaced by the Korean Empire in October "
    "1897. "
    "Its capital, Hanyang, is today's Seoul. Hangul, the Korean alphabet, was created in 1443 under King Sejong "
    "the Great."
)
EXAMPLES = Examples(
    ["question", "context"],
    [["Who created the dynasty?", CONTEXT], ["When was the Korean alphabet created?", CONTEXT]],
)


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/question_answering`."""
    task = TextTask(
        task=TASK,
        settings=QuestionAnsweringSettings,
        answer=answer_question,
        show=_show,
        describe="Find the answer to a question in a text; longer texts than the model reads are read by stride.",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {
        "question": control(QuestionAnsweringSettings, "question", elem_id="question_answering-question"),
        "context": control(QuestionAnsweringSettings, "context", lines=7, elem_id="question_answering-context"),
    }


def _more() -> dict[str, Any]:
    names = ("top_k", "handle_impossible_answer", "doc_stride", "max_seq_len", "max_answer_length", "align_to_words")
    return controls(QuestionAnsweringSettings, *names)


def _show(answer: QuestionAnswering, settings: QuestionAnsweringSettings, visit: Visit) -> str:
    best = answer.answers[0] if answer.answers else None
    if best is None or not best.answer:
        return paragraph(say("say.no_answer"), visit.language)
    head = [visit.say(say(f"say.{name}")) for name in ("answer", "score")]
    rows = [(one.answer or "–", f"{one.score:.3f}") for one in answer.answers]
    doubt = notes([say("say.hardly_sure")], visit.language) if best.score < DOUBTFUL else ""
    return marked(settings.context, [(best.start, best.end)]) + doubt + table(head, rows)
