"""What a page shows of an evaluation's rows: input, what it should be, and what one model or two made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.evaluation.row_choice import ChosenRows, RowChoice
from core.settings import LIMITS
from core.training.data.prepared import ANSWERS, CHAT, COMPLETION, LABELS, PAIRS, PLAIN, WORDS
from core.words import say
from tabs._differences import differences
from tabs._events import Visit
from tabs._views import paragraph
from tabs.evaluation._run_view import number, row_score

Told = Mapping[str, Any]
MOST_LETTERS = 400
"""Shown of an input; the whole is in the file of rows."""
COMPARED = (PAIRS, CHAT, COMPLETION, ANSWERS)
"""Shapes whose answers are texts, to be compared word by word."""


def show_rows(found: ChosenRows, told: Told, wanted: RowChoice, visit: Visit) -> str:
    """Draw a page of rows, with what they have in common above, and the ways to further pages below."""
    shape = told["data"]["shape"]
    if not found.rows:
        return paragraph(say("say.evaluate_no_rows"), visit.language, kind="empty") + _all_again(wanted, visit)
    above = paragraph(_which(found, wanted), visit.language, kind="direction") + _all_again(wanted, visit)
    legend = say("say.evaluate_legend")
    above += paragraph(legend, visit.language, kind="direction") if shape in COMPARED else ""
    return above + _table(found, shape, row_score(told, visit), visit) + _pages(found, visit)


def as_result(found: ChosenRows) -> dict[str, Any]:
    """Return a page of rows for programs."""
    return {"total": found.total, "first": found.first, "models": list(found.models), "rows": list(found.rows)}


def _which(found: ChosenRows, wanted: RowChoice) -> Any:
    last = found.first + len(found.rows) - 1
    told = {
        "first": found.first,
        "last": last,
        "total": found.total,
        "order": say(f"say.evaluate_order_{wanted.order}"),
    }
    if wanted.expected or wanted.predicted:
        cell = {"expected": wanted.expected or "*", "predicted": wanted.predicted or "*"}
        return say("say.evaluate_rows_of_cell", **told, **cell)
    return say("say.evaluate_rows", **told)


def _all_again(wanted: RowChoice, visit: Visit) -> str:
    """Draw the way back from a cell to all rows."""
    if not wanted.expected and not wanted.predicted:
        return ""
    return f"<p>{_button(say('say.evaluate_all_rows'), visit, expected='', predicted='')}</p>"


def _pages(found: ChosenRows, visit: Visit) -> str:
    page, after = LIMITS.table_preview_rows, found.first + len(found.rows)
    before = [_button(say("say.evaluate_earlier"), visit, first=max(found.first - page, 1))] if found.first > 1 else []
    later = [_button(say("say.evaluate_later"), visit, first=after)] if after <= found.total else []
    return f'<p class="pages">{"".join([*before, *later])}</p>' if before or later else ""


def _button(sentence: Any, visit: Visit, **data: Any) -> str:
    marks = "".join(f' data-{name}="{escape(str(value))}"' for name, value in data.items())
    return f'<button type="button" class="choose"{marks}>{escape(visit.say(sentence))}</button>'


def _table(found: ChosenRows, shape: str, score: str, visit: Visit) -> str:
    names = [visit.say(say(key)) for key in ("say.row", "say.evaluate_input")]
    if shape != PLAIN:
        names.append(visit.say(say("say.evaluate_reference")))
    for model in found.models:
        names += [*([] if shape == PLAIN else [model]), f"{score} · {model}" if len(found.models) > 1 else score]
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    body = "".join(_line(row, found.models, shape) for row in found.rows)
    drawn = f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="table-scroll">{drawn}</div>'


def _line(row: Told, models: Sequence[str], shape: str) -> str:
    cells = [f"<th scope=row>{row['row']}</th>", f'<td dir="auto">{escape(_short(row["input"]))}</td>']
    if shape != PLAIN:
        cells.append(f'<td dir="auto">{escape(_short(row["reference"]))}</td>')
    for model in models:
        cells += _answer(row, row["answers"][model], shape)
    return f"<tr>{''.join(cells)}</tr>"


def _answer(row: Told, answer: Told, shape: str) -> list[str]:
    """Draw what a model answered, and how good that is; of a row without an answer, why."""
    if answer["problem"]:
        told = f'<td class="problem" colspan="{1 if shape == PLAIN else 2}">{escape(_short(answer["problem"]))}</td>'
        return [told]
    score = f"<td>{number(answer['score'])}</td>"
    return [score] if shape == PLAIN else [f'<td dir="auto">{_drawn(row, answer, shape)}</td>', score]


def _drawn(row: Told, answer: Told, shape: str) -> str:
    prediction = str(answer["prediction"] or "")
    if shape == LABELS:
        return _label(row, answer, prediction)
    if shape == WORDS:
        return _tags(row, answer)
    if shape == ANSWERS:
        wanted = json.loads(row["expected"])
        return differences(wanted[0] if wanted else "", prediction) or "–"
    return differences(str(row["reference"]), prediction) or "–"


def _label(row: Told, answer: Told, prediction: str) -> str:
    """Draw the label with its probability; one that is wrong is marked, in more than colour."""
    scores = json.loads(answer["detail"]).get("scores", {})
    sure = f" <small>{scores[prediction]:.2f}</small>" if prediction in scores else ""
    if prediction == row["reference"]:
        return f"✓ {escape(prediction)}{sure}"
    return f"✗ <mark>{escape(prediction)}</mark>{sure}"


def _tags(row: Told, answer: Told) -> str:
    """Draw the words whose tags differ, each with the right tag and the one that was answered."""
    words, tags = (
        str(row["input"]).split(" "),
        zip(json.loads(row["expected"]), json.loads(answer["detail"]), strict=True),
    )
    wrong = [
        f"{escape(word)}: <del>{escape(expected)}</del> <ins>{escape(given)}</ins>"
        for word, (expected, given) in zip(words, tags, strict=False)
        if expected != given
    ]
    return "<br>".join(wrong) or "✓"


def _short(text: Any) -> str:
    told = str(text)
    return told if len(told) <= MOST_LETTERS else f"{told[:MOST_LETTERS]} …"
