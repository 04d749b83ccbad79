"""The ranking as a table a group: place, rating with its interval, and the votes that made it."""

from __future__ import annotations

from typing import Any

from core.evaluation.ranking import Ranking, Rated
from core.evaluation.rounds import Contestant
from core.words import say
from tabs._events import Visit
from tabs._views import notes, paragraph, table

COLUMNS = ("place", "model", "rating", "interval", "shown", "won", "drawn", "lost")


def draw_ranking(found: Ranking, visit: Visit) -> tuple[str, dict[str, Any]]:
    """Draw the tables with what they do not tell, and return the same for programs."""
    if not found.rated:
        return paragraph(say("say.ranking_empty", task=found.task), visit.language, kind="empty"), found.as_dict()
    head = [visit.say(say(f"say.ranking_{name}")) for name in COLUMNS]
    view = paragraph(say("say.ranking_votes", votes=found.votes, task=found.task), visit.language)
    for group in range(1, found.groups + 1):
        own = [one for one in found.rated if one.group == group]
        view += table(head, [_row(place, one) for place, one in enumerate(own, 1)])
    return view + notes(found.notes, visit.language), found.as_dict()


def _row(place: int, one: Rated) -> list[str]:
    found = one.interval
    interval = f"{found.low:,.0f} – {found.high:,.0f}" if found else "–"
    numbers = map(str, (one.votes, one.won, one.drawn, one.lost))
    return [str(place), _name(one.model), f"{one.rating:,.0f}", interval, *numbers]


def _name(model: Contestant) -> str:
    adapter = f" + {model.adapter}" if model.adapter else ""
    return f"{model.name} @ {model.revision[:12]}{adapter}"
