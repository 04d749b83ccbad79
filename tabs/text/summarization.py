"""Summarization: a long text in few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from core.atelier import Atelier
from core.tasks.text.abstractive import Part
from core.tasks.text.summarization import TASK, SummarizationSettings, Summary, summarize
from core.words import say
from tabs._copy import COPY, copyable
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import beside, marked
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.summarization"
STORY = (
    "The city council voted on Tuesday to close the old harbour bridge for two years of repairs. Engineers found "
    "cracks in four of its nine pillars last spring. Until the bridge opens again, a free ferry will carry walkers "
    "and cyclists every ten minutes. Shop owners on the north bank fear that fewer visitors will come. The repairs "
    "will cost 48 million euros, most of it paid by the state. The mayor promised that the bridge will keep its "
    "green lamps."
)
FEW_PARTS, MOST_PARTS = 8, 100
"""Parts that are shown at once, and with a click: a page with more becomes slow."""
PART_CHARACTERS = 160
EXAMPLES = Examples(["text"], [[STORY]])


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/summarization`."""
    task = TextTask(
        task=TASK,
        settings=SummarizationSettings,
        answer=summarize,
        show=_show,
        sketch=_sketch,
        script=COPY,
        describe="Shorten a text: its most central sentences (encoders), or newly written ones (encoder-decoders).",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {
        "text": control(SummarizationSettings, "text", lines=9, elem_id="summarization-text"),
        "sentences": control(SummarizationSettings, "sentences", elem_id="summarization-sentences"),
    }


def _more() -> dict[str, Any]:
    return controls(SummarizationSettings, "min_length", "max_length", "num_beams", "no_repeat_ngram_size")


def _sketch(parts: Sequence[Part], _: SummarizationSettings) -> str:
    return _beside(parts[-MOST_PARTS:])


def _show(answer: Summary, settings: SummarizationSettings, visit: Visit) -> str:
    view = copyable(answer.summary_text, visit)
    if answer.picked:
        view += marked(settings.text, [(one.start, one.end) for one in answer.picked])
    return view + (_parts(answer.parts, visit) if answer.parts else "")


def _parts(parts: Sequence[Part], visit: Visit) -> str:
    """Draw what was summarised on its own, each part beside its summary."""
    head = escape(visit.say(say("say.parts", count=len(parts))))
    few = " open" if len(parts) <= FEW_PARTS else ""
    return f'<details class="parts"{few}><summary>{head}</summary>{_beside(parts[:MOST_PARTS])}</details>'


def _beside(parts: Sequence[Part]) -> str:
    return beside((_beginning(part.text), part.summary) for part in parts)


def _beginning(text: str) -> str:
    """Return enough of a part to find it in the text above."""
    line = " ".join(text.split())
    return line if len(line) <= PART_CHARACTERS else line[: PART_CHARACTERS - 1] + "…"
