"""What a page shows of an evaluation: how far it is, a card for each model, who is better, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from core.atelier import Atelier
from core.errors import AtelierError
from core.evaluation.evaluator import DONE
from core.jobs.records import sentence_from_json
from core.jobs.runner import JobView, State
from core.words import Sentence, in_bytes, say
from tabs._events import Visit
from tabs._owner import owner_of
from tabs._views import failure, folded, notes, paragraph, progress_bar, table
from tabs.evaluation._which import name_of

Told = Mapping[str, Any]
"""evaluation.json"""
HASH_LENGTH = 12


@dataclass(frozen=True)
class Look:
    """An evaluation as it is now."""

    view: JobView
    told: Told | None
    """What evaluation.json holds so far; None before there is one."""

    @property
    def succeeded(self) -> bool:
        """True once all is done, and the rows are there."""
        return self.view.state is State.SUCCEEDED and self.told is not None


def look(atelier: Atelier, visit: Visit, job: str) -> Look:
    """Return an evaluation as it is now; raises UnknownName."""
    owner = owner_of(atelier, visit)
    view = atelier.evaluations.view(job, owner)
    return Look(view, read(atelier, visit, job))


def read(atelier: Atelier, visit: Visit, job: str) -> Told | None:
    """Return evaluation.json; None before there is one, and for one that makes no sense."""
    try:
        return atelier.evaluation_desk.read(job, owner_of(atelier, visit))
    except AtelierError:
        return None


def watch(atelier: Atelier, visit: Visit, job: str) -> Generator[Look | None]:
    """Show an evaluation until it ends; what it found is read only when there is more. None = nothing new."""
    owner, last, before = owner_of(atelier, visit), 0, ""
    told = read(atelier, visit, job)
    while True:
        news = atelier.evaluations.follow(job, last, owner)
        last = news.last
        if news.over or any(event.name == DONE for event in news.events):
            told = read(atelier, visit, job)
        found = Look(atelier.evaluations.view(job, owner), told)
        shown = draw(found, visit)
        if shown != before:
            before = shown
            yield found
        if news.over:
            return
        yield None


def nothing_yet(visit: Visit) -> str:
    """Show what to do where there is no evaluation."""
    return paragraph(say("say.evaluate_empty"), visit.language, kind="empty")


def as_result(found: Look) -> dict[str, Any]:
    """Return an evaluation for programs; `evaluation` is what evaluation.json holds."""
    view, progress = found.view, found.view.progress
    return {
        "job": view.id,
        "state": view.state.value,
        "position": view.position,
        "phase": progress.phase if progress else None,
        "done": progress.done if progress else 0,
        "total": progress.total if progress else 0,
        "remaining_seconds": progress.remaining_seconds if progress and view.state is State.RUNNING else None,
        "seconds": view.seconds,
        "error": str(view.error) if view.error else None,
        "evaluation": found.told,
    }


def draw(found: Look, visit: Visit) -> str:
    """Draw an evaluation: its state, and as much of it as is done."""
    view, language = found.view, visit.language
    progress = None if view.state is State.SUCCEEDED else view.progress
    state = say(f"say.state_{view.state.value}")
    seen = f'<h3 class="run-name">{escape(name_of(view))}</h3>'
    seen += progress_bar(state, progress, language, running=view.state is State.RUNNING)
    seen += notes([view.waiting], language) if view.waiting else ""
    seen += failure(view.error, language) if view.error else ""
    if found.told is None:
        return seen
    return seen + _found(found.told, visit)


def _found(told: Told, visit: Visit) -> str:
    seen = notes(sentences(told["data"]["notes"]), visit.language)
    cards = "".join(_card(one, visit) for one in told["models"])
    if cards:
        seen += f'<div class="cards">{cards}</div>'
    seen += "".join(compared(one, visit) for one in told["comparisons"])
    return seen + _origin(told, visit)


def _card(model: Told, visit: Visit) -> str:
    head = f"<h4>{escape(model['name'])}</h4>"
    if model["refusal"]:
        return f'<section class="score-card">{head}{notes(sentences([model["refusal"]]), visit.language)}</section>'
    lines = [line for one in model["metrics"] for line in _lines(one)]
    told = sentences(
        [one["refusal"] for one in model["metrics"]] + [note for one in model["metrics"] for note in one["notes"]]
    )
    left = [*told, *_left_out(model)]
    parts = (
        _best(lines, visit),
        _numbers(lines, visit),
        notes(left, visit.language),
        _how(model, visit),
        _ran(model, visit),
    )
    return f'<section class="score-card">{head}{"".join(parts)}</section>'


@dataclass(frozen=True)
class _Line:
    """One number of a metric."""

    name: str
    value: Any
    interval: Told | None
    lower_is_better: bool
    counted: str
    """By whom."""


def _lines(metric: Told) -> list[_Line]:
    """Return a metric's numbers with an interval; where none has one, the first."""
    sure = [one for one in metric["values"] if one["interval"]] or metric["values"][:1]
    name, counted = metric["name"], counted_by(metric["implementation"])
    return [
        _Line(
            name if one["key"] == name else f"{name} {one['key']}",
            one["value"],
            one["interval"],
            metric["lower_is_better"],
            counted,
        )
        for one in sure
    ]


def _best(lines: Sequence[_Line], visit: Visit) -> str:
    """Draw the number that counts large."""
    if not lines:
        return ""
    first = lines[0]
    told = f"{first.name} {visit.say(say('say.evaluate_lower'))}" if first.lower_is_better else first.name
    sure = f"<small>{escape(between(first.interval))}</small>" if first.interval else ""
    return f'<p class="score"><strong>{number(first.value)}</strong> {escape(told)} {sure}</p>'


def _numbers(lines: Sequence[_Line], visit: Visit) -> str:
    metric, value, interval = (
        escape(visit.say(say(key))) for key in ("say.evaluate_metric", "say.value", "say.evaluate_interval")
    )
    head = f"<th scope=col>{metric}</th><th scope=col>{value} <small>{interval}</small></th>"
    rows = "".join(
        f'<tr><th scope=row title="{escape(one.counted)}">{escape(one.name)}{" ↓" if one.lower_is_better else ""}</th>'
        f"<td>{number(one.value)} <small>{escape(between(one.interval))}</small></td></tr>"
        for one in lines
    )
    return f'<div class="table-scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _left_out(model: Told) -> list[Sentence]:
    told = (
        [say("say.evaluate_rows_left", n=model["n"], left=model["left_out"], problem=model["problem"])]
        if model["left_out"]
        else []
    )
    return [*told, *([say("say.evaluate_rows_cut", cut=model["cut"])] if model["cut"] else [])]


def _how(model: Told, visit: Visit) -> str:
    """Draw who computed each metric, with which settings, and its numbers without an interval."""
    lines = []
    for one in model["metrics"]:
        if one["implementation"]:
            others = ", ".join(f"{two['key']} {number(two['value'])}" for two in one["values"] if not two["interval"])
            lines.append(f"{one['name']}: {counted_by(one['implementation'])}{' · ' + others if others else ''}")
    return folded(visit.say(say("say.evaluate_how")), lines) if lines else ""


def counted_by(implementation: Told) -> str:
    """Say in a line who computed a score: library, version, function, and what was set."""
    if not implementation:
        return ""
    told = f"{implementation['library']} {implementation['version']} · {implementation['function']}"
    if implementation["signature"]:
        return f"{told} · {implementation['signature']}"
    chosen = {name: value for name, value in implementation["settings"].items() if value is not None}
    return f"{told} · {json.dumps(chosen, ensure_ascii=False)}" if chosen else told


def _ran(model: Told, visit: Visit) -> str:
    """Draw which model answered, where, how and for how long."""
    if not model.get("model"):
        return ""
    where = " · ".join(str(model[name]) for name in ("device", "dtype", "attention") if model.get(name))
    named = f"{model['model']} @ {str(model.get('revision') or '–')[:HASH_LENGTH]}"
    adapter = str(model.get("adapter") or "")
    named += f" + {adapter}" if adapter and not adapter.startswith(f"{model['model']}@") else ""
    told = [say("say.ran_on", model=named, where=f"{where} · seed {model['seed']}", seconds=f"{model['seconds']:.2f}")]
    if model.get("lineage"):
        told.append(say("say.evaluate_lineage", lineage=" → ".join(model["lineage"])))
    if model.get("kept"):
        told.append(say("say.evaluate_kept", kept=model["kept"]))
    if model.get("peak_bytes"):
        told.append(say("say.train_peak", size=in_bytes(model["peak_bytes"])))
    lines = "<br>".join(escape(visit.say(one)) for one in told)
    return f'<p class="provenance">{lines}</p>'


def compared(found: Told, visit: Visit) -> str:
    """Draw who of two is better, in words and in numbers."""
    drawn = "".join(paragraph(one, visit.language) for one in sentences([found["sentence"], found["test_sentence"]]))
    if found["left_out"]:
        drawn += notes([say("say.evaluate_pair_left", rows=found["rows"], left=found["left_out"])], visit.language)
    keys = ("say.evaluate_metric", "say.evaluate_difference", "say.evaluate_interval", "say.evaluate_p")
    rows = [
        (name, f"{one['difference']:+.4g}", between(one), f"{one['p_value']:.3g}")
        for name, one in found["paired"].items()
    ]
    head = escape(visit.say(say("say.evaluate_beside", first=found["first"], second=found["second"])))
    drawn += table([visit.say(say(key)) for key in keys], rows) if rows else ""
    return f'<section class="compared"><h4>{head}</h4>{drawn}</section>'


def _origin(told: Told, visit: Visit) -> str:
    data = told["data"]
    sentence = say(
        "say.evaluate_origin",
        data=data["name"],
        rows=data["rows"],
        hash=data["hash"][:HASH_LENGTH],
        code=told["code_version"],
        seed=told["seed"],
    )
    columns = ", ".join(f"{name}={own}" for name, own in data["columns"].items())
    told_columns = f" · {escape(columns)}" if columns else ""
    return f'<p class="provenance">{escape(visit.say(sentence))}{told_columns}</p>'


def number(value: Any) -> str:
    """Write a score with four digits that tell; "–" for none."""
    return f"{value:.4g}" if isinstance(value, int | float) else "–"


def between(interval: Told | None) -> str:
    """Write from where to where a score would lie."""
    return f"{interval['low']:.4g} – {interval['high']:.4g}" if interval else "–"


def sentences(held: Sequence[Any]) -> list[Sentence]:
    """Read sentences back, to be said in any language."""
    return [one for one in map(sentence_from_json, held) if one is not None]


def row_score(told: Told, visit: Visit) -> str:
    """Return what the score of a row is called; a row that is right or wrong has no field term."""
    return visit.say(say("say.evaluate_right")) if told["row_score"]["binary"] else str(told["row_score"]["name"])
