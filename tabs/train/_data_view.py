"""What a page shows of data before they are learnt: columns, the split, and a row in the training's very tokens."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from core.training.data.columns import columns_as_text
from core.training.data.prepared import Preview, Splits, Token
from core.training.data.thumbnails import Thumbnail
from core.training.desk import Looked
from core.words import say
from tabs._events import Visit
from tabs._views import counts, notes, paragraph, table

MOST_TOKENS = 600
"""Drawn of a row; a browser is slow with more."""
MOST_LABELS = 30
TRAIN, VALIDATION = "train", "validation"


def show_data(found: Looked, visit: Visit) -> tuple[str, dict[str, Any]]:
    """Draw what was found, and return the same for programs."""
    splits = found.splits
    view = _columns(splits, visit) + _split(splits, visit) + notes(splits.notes, visit.language)
    if found.note:
        view += notes([found.note], visit.language)
    if found.preview:
        view += _row(found.preview, visit)
    return view + _pictures(found, visit), as_result(found)


def as_result(found: Looked) -> dict[str, Any]:
    """Return data for programs."""
    splits = found.splits
    result = {
        "columns": dict(splits.columns),
        "available": list(splits.available),
        "train_rows": len(splits.train),
        "validation_rows": len(splits.validation),
        "labels": {label: list(both) for label, both in splits.counts_by_label.items()},
        "data_hash": splits.data_hash,
        "notes": [str(note) for note in splits.notes],
        "preview": None,
        "pictures": [
            {"row": one.row, "half": one.half, "caption": one.caption, "width": one.width, "height": one.height}
            for one in found.pictures
        ],
    }
    if found.preview:
        result["preview"] = {
            "row": found.preview.row,
            "half": found.preview.half,
            "label": found.preview.label,
            "truncated": found.preview.truncated,
            "sequences": [
                [{"id": one.id, "text": one.text, "label": one.label, "loss": one.carries_loss} for one in sequence]
                for sequence in found.preview.sequences
            ],
        }
    return result


def _columns(splits: Splits, visit: Visit) -> str:
    told = say("say.train_columns", columns=columns_as_text(splits.columns), available=", ".join(splits.available))
    return paragraph(told, visit.language)


def _pictures(found: Looked, visit: Visit) -> str:
    """Draw the first pictures as the model sees them, each with its caption and its half."""
    if not found.pictures:
        return ""
    drawn = "".join(_picture(one, visit) for one in found.pictures)
    head = say("say.train_first_pictures", count=len(found.pictures))
    return paragraph(head, visit.language) + f'<div class="pictures">{drawn}</div>'


def _picture(one: Thumbnail, visit: Visit) -> str:
    told = visit.say(say(f"say.train_half_{one.half}"))
    source = f"data:image/jpeg;base64,{base64.b64encode(one.jpeg).decode()}"
    return (
        f'<figure><img src="{source}" alt="{escape(one.caption)}"><figcaption>{escape(one.caption)}'
        f"<small>{one.row} · {one.width} × {one.height} · {escape(told)}</small></figcaption></figure>"
    )


def _split(splits: Splits, visit: Visit) -> str:
    halves = [(visit.say(say(f"say.train_half_{half}")), len(rows)) for half, rows in _halves(splits)]
    drawn = counts(halves)
    if splits.labels:
        head = [visit.say(say("say.train_label")), *(name for name, _ in halves)]
        rows = [(label, *both) for label, both in list(splits.counts_by_label.items())[:MOST_LABELS]]
        drawn += table(head, rows)
    return drawn


def _halves(splits: Splits) -> tuple[tuple[str, Sequence[Any]], ...]:
    return (TRAIN, splits.train), (VALIDATION, splits.validation)


def _row(seen: Preview, visit: Visit) -> str:
    half = seen.half or "none"
    head = say("say.train_row", row=seen.row, half=say(f"say.train_half_{half}"))
    drawn = paragraph(head, visit.language) + notes(seen.notes, visit.language)
    if seen.label:
        drawn += paragraph(say("say.train_row_label", label=seen.label), visit.language)
    if any(token.carries_loss for sequence in seen.sequences for token in sequence):
        drawn += paragraph(say("say.train_loss_marks"), visit.language, kind="empty")
    return drawn + "".join(_sequence(one, visit) for one in seen.sequences)


def _sequence(tokens: Sequence[Token], visit: Visit) -> str:
    """Draw tokens, those that carry loss marked, with what each must say for mouse and screen reader."""
    drawn = "".join(_token(one) for one in tokens[:MOST_TOKENS])
    cut = notes([say("say.train_tokens_cut", shown=MOST_TOKENS, length=len(tokens))], visit.language)
    return f'<p class="tokens">{drawn}</p>' + (cut if len(tokens) > MOST_TOKENS else "")


def _token(token: Token) -> str:
    kind = "token loss" if token.carries_loss else "token"
    said = f"{token.id} → {token.label}" if token.label else str(token.id)
    part = "" if token.part == "input" else f" part-{token.part}"
    text = escape(token.text.replace("\n", "⏎")) or "␣"
    tag = "mark" if token.carries_loss else "span"
    label = f"<sub>{escape(token.label)}</sub>" if token.carries_loss and token.label != token.text else ""
    return f'<{tag} class="{kind}{part}" title="{escape(said)}">{text}{label}</{tag}>'
