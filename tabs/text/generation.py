"""Generate: a text goes on token by token, each with its candidates, and from each candidate in another way."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from core.atelier import Atelier
from core.tasks.text.text_generation import (
    TASK,
    Candidate,
    Continuation,
    Generation,
    Piece,
    TextGenerationSettings,
    generate_text,
)
from core.words import say
from tabs._events import Visit
from tabs._form import control
from tabs._generation_form import generation_controls
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.text_generation"
EXAMPLES = Examples(
    ["prompt"],
    [
        ["Once upon a time, a little dragon"],
        ["Tom and his sister found a box in the garden. Inside"],
        ["The old king was sad because"],
    ],
)
NOTHING = "▯"
"""Stands for a token that adds no whole character."""
BRANCH = """
element.addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-branch]');
  if (!chosen) return;
  const row = chosen.closest('[data-row]');
  const before = [...row.querySelectorAll('details.piece')];
  const place = before.indexOf(chosen.closest('details.piece'));
  const text = before.slice(0, place).map((piece) => piece.dataset.text).join('');
  const box = document.querySelector('#text_generation-prompt textarea');
  box.value = row.dataset.row + text + chosen.dataset.branch;
  box.dispatchEvent(new Event('input', { bubbles: true }));
  setTimeout(() => document.querySelector('#text_generation-run').click(), 150);
});
element.addEventListener('toggle', (event) => {
  const list = event.target.querySelector('ol');
  list.style.marginLeft = '';
  const hidden = list.getBoundingClientRect().right + 8 - document.documentElement.clientWidth;
  if (event.target.open && hidden > 0) list.style.marginLeft = `-${hidden}px`;
}, true);
"""
"""A click on a candidate makes it the end of the prompt, and runs again from there; an open list stays on the page."""


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/text_generation`."""
    task = TextTask(
        task=TASK,
        settings=TextGenerationSettings,
        answer=generate_text,
        show=_show,
        describe="Continue a text token by token, with the most probable candidates at each place.",
        sketch=_sketch,
        script=BRANCH,
        details=True,
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {
        "prompt": control(TextGenerationSettings, "prompt", lines=5, elem_id="text_generation-prompt"),
        "max_new_tokens": control(TextGenerationSettings, "max_new_tokens", elem_id="text_generation-max_new_tokens"),
    }


def _more() -> dict[str, Any]:
    return {
        **generation_controls(TextGenerationSettings, "text_generation"),
        "candidates": control(TextGenerationSettings, "candidates"),
    }


def _sketch(texts: Sequence[str], settings: TextGenerationSettings) -> str:
    return "".join(_row(settings.prompt, escape(text)) for text in texts)


def _show(answer: Generation, settings: TextGenerationSettings, visit: Visit) -> str:
    rows = "".join(_row(settings.prompt, _pieces(row)) + _end(row, visit) for row in answer.continuations)
    speed = say(
        "say.generation_speed",
        rate=f"{answer.tokens_per_second:,.1f}",
        first=f"{answer.first_token_seconds:.2f}",
        count=sum(row.count for row in answer.continuations),
    )
    return rows + f'<p class="speed">{escape(visit.say(speed))}</p>'


def _row(prompt: str, written: str) -> str:
    shown = f'<span class="prompt">{escape(prompt)}</span>{written}'
    return f'<div class="answer" data-row="{escape(prompt)}">{shown}</div>'


def _end(row: Continuation, visit: Visit) -> str:
    told = [say(f"say.ended_{row.reason}")]
    if row.rest and any(token.candidates for token in row.tokens):
        told.append(say("say.first_candidates", shown=len(row.tokens), count=row.count))
    return "".join(f'<p class="ended">{escape(visit.say(sentence))}</p>' for sentence in told)


def _pieces(row: Continuation) -> str:
    """Draw each token with its candidates, and plainly what is written behind the last one that has some."""
    if any(token.candidates for token in row.tokens):
        return "".join(map(_piece, row.tokens)) + escape(row.rest)
    return escape(row.text)


def _piece(token: Piece) -> str:
    sure, listed = f"{token.probability:.0%}", list(token.candidates)
    chosen = Candidate(token.text, token.probability, token.special)
    candidates = "".join(map(_candidate, listed if chosen in listed else [*listed, chosen]))
    kind = ' class="special"' if token.special else ""
    return (
        f'<details class="piece" name="piece" data-text="{escape(token.text)}" style="--sure:{sure}">'
        f"<summary{kind}>{escape(token.text or token.special) or NOTHING}</summary><ol>{candidates}</ol></details>"
    )


def _candidate(one: Candidate) -> str:
    """Draw a candidate as a button; a special token is no text that a prompt could go on with."""
    branch = f'data-branch="{escape(one.text)}"' if not one.special else "disabled"
    shown = escape(one.special or _visible(one.text))
    return f'<li><button type="button" {branch}>{shown}</button>{one.probability:.1%}</li>'


def _visible(text: str) -> str:
    """Show what cannot be seen: spaces and line breaks."""
    return text.replace(" ", "·").replace("\n", "⏎") or NOTHING
