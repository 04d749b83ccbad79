"""Small pieces of HTML from plain values; every text from outside is escaped here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from core.provenance import Provenance
from core.words import Sentence, say


def bars(rows: Iterable[tuple[str, float]]) -> str:
    """Draw (label, score 0…1) as horizontal bars with their numbers."""
    lines = (
        f'<li><span class="bar-label">{escape(label)}</span>'
        f'<span class="bar-track"><span class="bar-fill" style="width:{max(min(score, 1.0), 0.0):.1%}"></span></span>'
        f'<span class="bar-score">{score:.3f}</span></li>'
        for label, score in rows
    )
    return f'<ol class="bars">{"".join(lines)}</ol>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Draw a plain table that scrolls sideways on a phone."""
    top = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="table-scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def notes(sentences: Iterable[Sentence], language: str) -> str:
    """Draw what happened on the way: texts cut, fallbacks taken."""
    return "".join(f'<p class="note">{escape(sentence.in_language(language))}</p>' for sentence in sentences)


def ran_on(provenance: Provenance, language: str) -> str:
    """Draw the line under every result: which model, where, how, how long."""
    model = f"{provenance.model} @ {provenance.revision[:12]}"
    where = f"{provenance.device} · {provenance.dtype} · {provenance.attention}"
    sentence = say("say.ran_on", model=model, where=where, seconds=f"{provenance.seconds:.2f}")
    return f'<p class="provenance">{escape(sentence.in_language(language))}</p>'


def empty(sentence: Sentence, language: str = "en") -> str:
    """Draw the state before the first result: what to do here."""
    return f'<p class="empty">{escape(sentence.in_language(language))}</p>'
