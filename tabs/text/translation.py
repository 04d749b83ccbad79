"""Translate: a text in another language, each sentence beside its original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.tasks.text.translation import TASK, Pair, Translation, TranslationSettings, translate
from core.words import say
from tabs._copy import COPY, copyable
from tabs._events import Visit
from tabs._form import control
from tabs._language import word
from tabs._views import beside, paragraph
from tabs.text._languages import language_control
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.translation"
LIST = "To do tomorrow:\n  - I must buy bread.\n  - I have to call my sister.\n\nThe train leaves at six."
EXAMPLES = Examples(
    ["text"],
    [
        ["Where did you learn to cook?"],
        ["I have lost my keys. Can you help me find them? My brother is waiting."],
        [LIST],
    ],
)
MOST_PAIRS = 300
"""Sentences that are shown beside their originals; a page with more becomes slow."""


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/translation`."""
    task = TextTask(
        task=TASK,
        settings=TranslationSettings,
        answer=translate,
        show=_show,
        describe="Translate a text sentence by sentence, and keep its layout.",
        sketch=_sketch,
        script=COPY,
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    text = control(TranslationSettings, "text", lines=6, elem_id="translation-text")
    with gr.Row():
        languages = {
            name: language_control(name, min_width=140, elem_id=f"translation-{name}")
            for name in ("source_language", "target_language")
        }
    return {"text": text, **languages}


def _more() -> dict[str, Any]:
    longest = control(TranslationSettings, "max_new_tokens", label=word("field.max_new_tokens_own"))
    return {"num_beams": control(TranslationSettings, "num_beams"), "max_new_tokens": longest}


def _sketch(pairs: Sequence[Pair], settings: TranslationSettings) -> str:
    return _beside(pairs[:MOST_PAIRS], settings.text)


def _show(answer: Translation, settings: TranslationSettings, visit: Visit) -> str:
    view = _told(answer, visit) + copyable(answer.translation_text, visit)
    view += _beside(answer.pairs[:MOST_PAIRS], settings.text)
    if len(answer.pairs) > MOST_PAIRS:
        cut = say("say.pairs_cut", shown=MOST_PAIRS, length=len(answer.pairs))
        view += paragraph(cut, visit.language, kind="note")
    return view


def _told(answer: Translation, visit: Visit) -> str:
    """Draw from which language into which, in the model's own codes, as far as that is known."""
    source, target = answer.direction.source, answer.direction.target
    if not source and not target:
        return ""
    return paragraph(say("say.from_into", source=source or "?", target=target or "?"), visit.language, kind="direction")


def _beside(pairs: Sequence[Pair], text: str) -> str:
    return beside((text[pair.start : pair.end], pair.translation) for pair in pairs)
