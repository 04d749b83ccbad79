"""From raw rows to checked ones in two halves: what is trained on, before anything is tokenized."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.training.contradictions import require_data
from core.training.data.columns import Mapped, all_columns, map_columns
from core.training.data.examples.answered import read_answered
from core.training.data.examples.cells import BadCellError, is_blank
from core.training.data.examples.labelled import in_order, read_labelled, refuse_no_classes
from core.training.data.examples.spoken import (
    read_completion,
    read_conversation,
    read_instruction,
    read_preference,
)
from core.training.data.examples.tagged import read_spans, read_tagged, tags_in_order
from core.training.data.examples.texts import read_pair, read_picture, read_text
from core.training.data.prepared import LABELS, WORDS, Row, Splits
from core.training.data.problems import MOST_NAMED, Problems, listed
from core.training.data.reading import Desk, read_training_rows, read_validation_rows
from core.training.data.source import Source
from core.training.data.splitting import Halves, draw, hash_of, split, without_shared
from core.training.data.watch import Watch
from core.training.settings import TrainSettings
from core.words import Sentence, say

MOST_LEFT_OUT = 0.2
"""Part of the rows of a data set nobody here can correct that may be unusable before it is refused."""

_READERS: Mapping[tuple[str, ...], Callable[[Mapping[str, Any]], Row]] = {
    ("text", "label"): read_labelled,
    ("tokens", "tags"): read_tagged,
    ("text", "entities"): read_spans,
    ("question", "context", "answers"): read_answered,
    ("source", "target"): read_pair,
    ("text",): read_text,
    ("messages",): read_conversation,
    ("prompt", "completion"): read_completion,
    ("instruction", "output"): read_instruction,
    ("prompt", "chosen", "rejected"): read_preference,
    ("chosen", "rejected"): read_preference,
    ("image", "caption"): read_picture,
}


@dataclass(frozen=True)
class _Checked:
    """Rows that can be learnt from, and what is to be said about the others."""

    rows: list[Row]
    notes: tuple[Sentence, ...]


def read_splits(settings: TrainSettings, desk: Desk, watch: Watch | None = None) -> Splits:
    """Read, check and split the data that `settings` name.

    Raises BadFile naming file, row, column and cause, InvalidInput for columns that make no sense, HubError for a data
    set that cannot be had, Cancelled where somebody asked to stop.
    """
    require_data(settings)
    watch = watch or Watch()
    source = read_training_rows(settings, desk, watch)
    mapped = map_columns(source, settings.task, settings.kind, settings.columns)
    checked = _checked(source, mapped, watch)
    halves, notes = _halved(settings, checked, mapped, desk, watch)
    if not halves.train:
        raise BadFile("error.data_nothing_to_learn", file=source.name)
    _refuse_classes(source.name, mapped, halves)
    return Splits(
        train=halves.train,
        validation=halves.validation,
        shape=mapped.form.shape,
        columns=mapped.columns,
        available=all_columns(source),
        labels=_labels(halves, mapped.form.shape),
        notes=(*source.notes, *checked.notes, *notes, *halves.notes),
        data_hash=hash_of(halves),
        separate=bool(settings.validation_file.strip() or settings.validation_split.strip()),
    )


def read_undivided(settings: TrainSettings, desk: Desk, watch: Watch | None = None) -> Splits:
    """Read and check the data, all rows as validation rows and of whatever classes: for whoever only evaluates.

    Raises what `read_splits` does of the data themselves.
    """
    require_data(settings)
    watch = watch or Watch()
    source = read_training_rows(settings, desk, watch)
    mapped = map_columns(source, settings.task, settings.kind, settings.columns)
    checked = _checked(source, mapped, watch)
    rows, notes = _drawn(settings, checked)
    halves = Halves((), tuple(rows))
    return Splits(
        train=(),
        validation=halves.validation,
        shape=mapped.form.shape,
        columns=mapped.columns,
        available=all_columns(source),
        labels=_labels(halves, mapped.form.shape),
        notes=(*source.notes, *checked.notes, *notes),
        data_hash=hash_of(halves),
    )


def _drawn(settings: TrainSettings, checked: _Checked) -> tuple[list[Row], tuple[Sentence, ...]]:
    """Draw the rows that are used, and say so where they are not all."""
    rows = draw(checked.rows, settings.max_samples, settings.seed)
    if len(rows) == len(checked.rows):
        return rows, ()
    return rows, (say("say.data_drawn", count=len(rows), total=len(checked.rows), seed=settings.seed),)


def _halved(
    settings: TrainSettings, checked: _Checked, mapped: Mapped, desk: Desk, watch: Watch
) -> tuple[Halves, tuple[Sentence, ...]]:
    """Draw the rows that are used, and hold some out: those of a file or split of their own, or a part."""
    shape = mapped.form.shape
    rows, notes = _drawn(settings, checked)
    other = read_validation_rows(settings, Desk(desk.folder / "validation", desk.token), watch)
    if other is None:
        return split(rows, shape, settings.validation_fraction, settings.seed), notes
    form = map_columns(other, settings.task, settings.kind, settings.columns)
    held = _checked(other, form, watch)
    return without_shared(rows, held.rows, shape), (*notes, *other.notes, *held.notes)


def _checked(source: Source, mapped: Mapped, watch: Watch) -> _Checked:
    """Read every row under its canonical columns; rows without anything in them are left out and counted."""
    problems = Problems(source.name)
    rows: list[Row] = []
    blank = 0
    for place, raw in enumerate(watch.over("read", source.rows, len(source.rows))):
        if place in source.problems:
            problems.add(place + 1, "", source.problems[place])
            continue
        cells = mapped.cells(raw)
        if all(is_blank(cell) for cell in cells.values()):
            blank += 1
            continue
        row = _read(cells, mapped, place + 1, problems)
        if row is not None:
            rows.append({**row, "row": place + 1})
    notes = (say("say.data_blank_rows", count=blank),) if blank else ()
    return _Checked(rows, (*notes, *_left_out(source, problems, len(rows))))


def _read(cells: Mapping[str, Any], mapped: Mapped, number: int, problems: Problems) -> Row | None:
    try:
        return _READERS[mapped.form.needed](cells)
    except BadCellError as bad:
        problems.add(number, mapped.columns.get(bad.column, bad.column), bad.cause)
        return None


def _left_out(source: Source, problems: Problems, good: int) -> tuple[Sentence, ...]:
    """Refuse a file whose owner can correct it; of other data sets, note what is left out, if it is little."""
    if source.correctable or problems.count > MOST_LEFT_OUT * (problems.count + good):
        problems.refuse()
    if not good:
        raise BadFile("error.file_without_rows", file=source.name)
    if not problems.count:
        return ()
    return (say("say.data_left_out", count=problems.count, named=MOST_NAMED, problems=listed(problems.first)),)


def _refuse_classes(file: str, mapped: Mapped, halves: Halves) -> None:
    if mapped.form.shape != LABELS:
        return
    refuse_no_classes(file, mapped.columns["label"], halves.train)
    strange = {row["label"] for row in halves.validation} - {row["label"] for row in halves.train}
    if strange:
        raise BadFile("error.data_validation_labels", file=file, labels=", ".join(sorted(strange)[:10]))


def _labels(halves: Halves, shape: str) -> tuple[str, ...]:
    rows: Iterable[Row] = (*halves.train, *halves.validation)
    if shape == LABELS:
        return in_order({row["label"] for row in rows})
    return tags_in_order({tag for row in rows for tag in row["tags"]}) if shape == WORDS else ()


def write_rows(rows: Iterable[Row], file: Path) -> None:
    """Write rows as JSON lines, for whoever evaluates the run later."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_rows(file: Path) -> list[Row]:
    """Read what `write_rows` wrote; nothing where there is no such file."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]
