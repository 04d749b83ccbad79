"""What the Side by side tab shows: a column for each model, and under blind ones the buttons of the vote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from core.evaluation.rounds import BAD, EQUAL, LETTERS, Round
from core.tasks.text.question import Answered
from core.tasks.text.side_by_side import SideBySideSettings
from core.words import Sentence, in_bytes, say
from tabs._answers import draw_answer
from tabs._events import Visit
from tabs._views import notes, paragraph, plain_text, ran_on

VOTE = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-vote]');
  if (button) trigger('submit', { id: button.dataset.round, choice: button.dataset.vote });
});
"""
"""A click on a verdict sends it, with the round that it is about."""

Shown = tuple[str, Any]


def draw_unfinished(settings: SideBySideSettings, answers: Sequence[Answered], writing: str, visit: Visit) -> str:
    """Draw what is there so far; of a blind round only how many have answered, for who is slow could be guessed."""
    done, total = len(answers), len(settings.models)
    if settings.blind:
        return paragraph(say("say.side_waiting", done=done, total=total), visit.language, kind="job-state")
    columns = [_named(settings, one, visit) for one in answers]
    for place, model in enumerate(settings.models[done:]):
        sentence = say("say.side_waits") if place else say("say.side_answers")
        text = plain_text(writing) if writing and not place else ""
        columns.append(_column(model, text + paragraph(sentence, visit.language, kind="ended")))
    return _columns(columns)


def show_answers(settings: SideBySideSettings, answers: Sequence[Answered], visit: Visit) -> Shown:
    """Show all answers under their names; a blind question that cannot be judged says so."""
    told = notes([say("say.side_not_judged")], visit.language) if settings.blind else ""
    view = told + _columns(_named(settings, one, visit) for one in answers)
    rows = [{"column": letter, **_plain(one)} for letter, one in zip(LETTERS, answers, strict=False)]
    return view, {"id": None, "task": settings.task, "blind": settings.blind, "choice": None, "answers": rows}


def show_round(one: Round, visit: Visit) -> Shown:
    """Show a blind round: without names and with the verdicts to choose from, or judged and with its names."""
    rows = [{"column": letter, **_plain(answered)} for letter, answered in zip(one.letters, one.answers, strict=True)]
    silent = [_plain(answered) for answered in one.silent]
    told = {"id": one.id, "task": one.settings.task, "blind": True, "choice": one.choice or None}
    if one.choice:
        return _judged(one, visit), {**told, "answers": rows, "silent": silent}
    hidden = [{name: row[name] for name in ("column", "result")} for row in rows]
    return _unjudged(one, visit), {**told, "choices": list(one.choices), "answers": hidden, "silent": len(silent)}


def _unjudged(one: Round, visit: Visit) -> str:
    columns = [
        _column(letter, _drawn(one.settings, answered, visit))
        for letter, answered in zip(one.letters, one.answers, strict=True)
    ]
    silent = [say("say.side_silent", count=len(one.silent))] if one.silent else []
    buttons = "".join(_button(one, choice, visit) for choice in one.choices)
    question = escape(visit.say(say("say.side_question")))
    verdicts = f'<div class="verdicts" role="group" aria-label="{question}"><p>{question}</p>{buttons}</div>'
    return _columns(columns) + notes(silent, visit.language) + verdicts


def _judged(one: Round, visit: Visit) -> str:
    told = notes([say("say.side_voted", verdict=_verdict(one.choice))], visit.language)
    columns = [
        _named(one.settings, answered, visit, letter=letter, better=letter == one.choice)
        for letter, answered in zip(one.letters, one.answers, strict=True)
    ]
    silent = [_named(one.settings, answered, visit) for answered in one.silent]
    return told + _columns([*columns, *silent])


def _button(one: Round, choice: str, visit: Visit) -> str:
    words = escape(visit.say(_verdict(choice)))
    return f'<button type="button" data-round="{one.id}" data-vote="{choice}">{words}</button>'


def _verdict(choice: str) -> Sentence:
    told = {EQUAL: say("say.side_equal"), BAD: say("say.side_bad")}
    return told.get(choice) or say("say.side_better", column=choice)


def _columns(columns: Iterable[str]) -> str:
    return f'<div class="sides">{"".join(columns)}</div>'


def _column(head: str, body: str, *, better: bool = False) -> str:
    marked = ' class="better"' if better else ""
    return f"<section{marked}><h4>{escape(head)}</h4>{body}</section>"


def _named(settings: SideBySideSettings, one: Answered, visit: Visit, *, letter: str = "", better: bool = False) -> str:
    """Draw a column with its name, what ran, and what it cost; or why there is no answer."""
    head = f"{letter} · {one.model}" if letter else one.model
    if one.provenance is None:
        return _column(head, notes([one.refusal] if one.refusal else [], visit.language))
    body = _drawn(settings, one, visit) + ran_on(one.provenance.as_dict(), visit.language) + _cost(one, visit)
    kept = notes([say("say.side_kept")], visit.language) if one.stopped else ""
    return _column(head, kept + body, better=better)


def _drawn(settings: SideBySideSettings, one: Answered, visit: Visit) -> str:
    return draw_answer(settings.task, one.result, settings.text, visit)


def _cost(one: Answered, visit: Visit) -> str:
    told = []
    if one.load_seconds:
        told.append(say("say.side_loaded", seconds=f"{one.load_seconds:.2f}"))
    if one.measured_bytes is not None:
        told.append(say("say.side_memory", size=in_bytes(one.measured_bytes)))
    said = " · ".join(map(visit.say, told))
    return f'<p class="provenance">{escape(said)}</p>' if said else ""


def _plain(one: Answered) -> dict[str, Any]:
    """Return one answer for programs."""
    return {
        "model": one.model,
        "result": one.result,
        "refusal": str(one.refusal) if one.refusal else None,
        "provenance": one.provenance.as_dict() if one.provenance else None,
        "load_seconds": round(one.load_seconds, 4),
        "measured_bytes": one.measured_bytes,
        "stopped": one.stopped,
    }
