"""Small pieces of HTML from plain values; every text from outside is escaped here, and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from core.events import Progress
from core.words import Sentence, in_bytes, say

COLOURS = 8
"""How many colours style.css has for marked pieces."""

IN_BYTES = frozenset({"download", "verify"})
"""The phases of long work that count bytes."""

HEAT_MAP_SIDE = 48
"""Most rows and columns drawn; a browser is slow with more than some thousand cells."""


def bars(rows: Iterable[tuple[str, float]]) -> str:
    """Draw (label, score 0…1) as horizontal bars with their numbers."""
    return f'<ol class="bars">{"".join(_bar(escape(label), score, f"{score:.3f}") for label, score in rows)}</ol>'


@dataclass(frozen=True)
class Choice:
    """A word with the length of its bar (0…1) and its number, and what a script must know when it is chosen."""

    label: str
    share: float
    number: str
    data: Mapping[str, str]


def choices(rows: Iterable[Choice]) -> str:
    """Draw choices as bars whose labels are buttons; `data` becomes their data-… attributes."""
    return f'<ol class="bars">{"".join(_bar(_button(one), one.share, one.number) for one in rows)}</ol>'


def _button(choice: Choice) -> str:
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in choice.data.items())
    return f'<button type="button"{data}>{escape(choice.label)}</button>'


def _bar(label: str, share: float, number: str) -> str:
    """Draw one bar; `label` is HTML."""
    width = f"{max(min(share, 1.0), 0.0):.1%}"
    return (
        f'<li><span class="bar-label">{label}</span>'
        f'<span class="bar-track"><span class="bar-fill" style="width:{width}"></span></span>'
        f'<span class="bar-score">{escape(number)}</span></li>'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Draw a plain table that scrolls sideways on a phone."""
    top = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="table-scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def notes(sentences: Iterable[Sentence], language: str) -> str:
    """Draw what happened on the way: texts cut, fallbacks taken."""
    return "".join(f'<p class="note">{escape(sentence.in_language(language))}</p>' for sentence in sentences)


def coloured(segments: Iterable[tuple[str, str | None]], types: Sequence[str]) -> str:
    """Draw a text with its labelled pieces marked; each type keeps its colour, and its name beside the piece."""
    places = {name: place % COLOURS for place, name in enumerate(types)}

    def piece(text: str, label: str | None) -> str:
        if label is None:
            return escape(text)
        return f'<mark class="entity colour-{places.get(label, 0)}">{escape(text)}<sub>{escape(label)}</sub></mark>'

    return f'<p class="reading">{"".join(piece(text, label) for text, label in segments)}</p>'


def marked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Draw a text with the pieces text[start:end] marked."""
    parts, read = [], 0
    for start, end in sorted(spans):
        parts.append(f"{escape(text[read:start])}<mark>{escape(text[start:end])}</mark>")
        read = end
    return f'<p class="reading">{"".join(parts)}{escape(text[read:])}</p>'


def beside(pairs: Iterable[tuple[str, str]]) -> str:
    """Draw texts beside what became of them, one below the other where there is no room."""
    rows = "".join(
        f'<li><span dir="auto">{escape(one)}</span><span dir="auto">{escape(other)}</span></li>' for one, other in pairs
    )
    return f'<ol class="pairs">{rows}</ol>' if rows else ""


def plain_text(text: str) -> str:
    """Draw a text as it is, line breaks kept."""
    return f'<p class="answer">{escape(text)}</p>'


@dataclass(frozen=True)
class HeatMap:
    """Values (rows × columns) with their names; `low` and `high` are the ends of the colour scale."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    low: float = 0.0
    high: float = 1.0
    uncoloured: Collection[int] = ()
    """Places of rows and columns that show their numbers only."""


def heat_map(given: HeatMap, language: str) -> str:
    """Draw values as coloured cells, each with its number for mouse and screen reader; a large map is cut."""
    columns = given.columns[:HEAT_MAP_SIDE]
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{_cells(given, place, values)}</tr>'
        for place, (name, values) in enumerate(list(zip(given.rows, given.values, strict=True))[:HEAT_MAP_SIDE])
    )
    longest = max(len(given.rows), len(given.columns))
    cut = say("say.heat_map_cut", shown=HEAT_MAP_SIDE, length=longest)
    parts = f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody>"
    drawn = f'<div class="table-scroll"><table class="heat">{parts}</table></div>'
    return drawn + (notes([cut], language) if longest > HEAT_MAP_SIDE else "")


def _cells(given: HeatMap, row: int, values: Sequence[float]) -> str:
    return "".join(
        f'<td{_colour(given, row, column, value)} title="{value:.3f}">{value:.2f}</td>'
        for column, value in enumerate(values[:HEAT_MAP_SIDE])
    )


def _colour(given: HeatMap, row: int, column: int, value: float) -> str:
    if row in given.uncoloured or column in given.uncoloured:
        return ' class="uncoloured"'
    share = (value - given.low) / ((given.high - given.low) or 1.0)
    return f' style="--heat:{min(max(share, 0.0), 1.0):.2f}"'


def folded(head: str, lines: Iterable[str]) -> str:
    """Draw lines that open with a click on their head."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>{escape(head)}</summary><ul>{items}</ul></details>"


def paragraph(sentence: Sentence, language: str, kind: str = "plain") -> str:
    """Draw one sentence."""
    return f'<p class="{kind}">{escape(sentence.in_language(language))}</p>'


def ran_on(provenance: Mapping[str, Any], language: str) -> str:
    """Draw the line under every result: which model, where, how, how long."""
    model = f"{provenance['model']} @ {provenance['revision'][:12]}"
    where = " · ".join(provenance[name] for name in ("device", "dtype", "attention"))
    if provenance.get("seed") is not None:
        where += f" · seed {provenance['seed']}"
    sentence = say("say.ran_on", model=model, where=where, seconds=f"{provenance['seconds']:.2f}")
    return f'<p class="provenance">{escape(sentence.in_language(language))}</p>'


def counts(rows: Sequence[Sequence[Any]]) -> str:
    """Draw (name, count) as bars whose lengths are shares of the whole."""
    whole = sum(count for _, count in rows) or 1
    lines = (_bar(escape(str(name)), count / whole, f"{count:,} · {count / whole:.1%}") for name, count in rows)
    return f'<ol class="bars">{"".join(lines)}</ol>'


def progress_bar(state: Sentence, progress: Progress | None, language: str, *, running: bool = True) -> str:
    """Draw how far long work is: state, share done and rate; remaining time only while it is `running`."""
    head = f'<p class="job-state">{escape(state.in_language(language))}</p>'
    counts_rows = progress is not None and progress.total and progress.phase not in IN_BYTES
    if progress is None or not (running or counts_rows):
        return head
    share = f' value="{progress.done / progress.total:.4f}"' if progress.total else ""
    told = (_how_far(progress, running=running) if counts_rows else in_progress(progress)).in_language(language)
    return f'{head}<progress max="1"{share}></progress><p>{escape(told)}</p>'


def _how_far(progress: Progress, *, running: bool) -> Sentence:
    done, total, rate = progress.done, progress.total, f"{progress.rate:,.1f}"
    remaining = progress.remaining_seconds
    if not running or remaining is None:
        return say("say.done_at_rate", done=done, total=total, rate=rate)
    return say("say.done_of", done=done, total=total, rate=rate, remaining=f"{remaining:,.0f}")


def in_progress(progress: Progress) -> Sentence:
    """Return the sentence under a progress bar: phase, rate and remaining time."""
    remaining = progress.remaining_seconds
    phase = say(f"say.phase_{progress.phase}")
    if remaining is None:
        return phase
    rate = in_bytes(progress.rate) if progress.phase in IN_BYTES else f"{progress.rate:,.1f}"
    return say("say.progress", phase=phase, rate=rate, remaining=f"{remaining:,.0f}")


def failure(sentence: Sentence, language: str) -> str:
    """Draw why long work failed."""
    return f'<p class="failure" role="alert">{escape(sentence.in_language(language))}</p>'
