"""The two halves of a data set: drawn by a seed, with every class in both, and no text in both."""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.training.data.prepared import (
    ANSWERS,
    CHAT,
    COMPLETION,
    LABELS,
    PAIRS,
    PICTURES,
    PREFERENCE,
    WORDS,
    Row,
)
from core.words import Sentence, say


@dataclass(frozen=True)
class Halves:
    """Rows in file order."""

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    notes: tuple[Sentence, ...] = ()


def draw(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """Return `most` rows (0 = all) in file order, drawn by the seed."""
    if not most or most >= len(rows):
        return list(rows)
    places = random.Random(seed).sample(range(len(rows)), most)  # noqa: S311 not a secret
    return [rows[place] for place in sorted(places)]


def split(rows: Sequence[Row], shape: str, fraction: float, seed: int) -> Halves:
    """Hold out `fraction` of the rows: whole groups of one text, and of each class its part, at least one of two.

    Where all rows share one text (many questions about one context) they are told apart by all they hold.
    """
    if not fraction or len(rows) < 2:  # noqa: PLR2004 one row cannot be in both halves
        return Halves(tuple(rows), ())
    groups = _grouped(rows, shape)
    if len(groups) == 1:
        groups = _grouped(rows, "")
    held = _held_out(groups, shape, fraction, random.Random(seed))  # noqa: S311 not a secret
    train = tuple(row for row in rows if row["row"] not in held)
    return Halves(train, tuple(row for row in rows if row["row"] in held))


def without_shared(train: Sequence[Row], validation: Sequence[Row], shape: str) -> Halves:
    """Take out of the training half what the validation rows hold, too, and say how many they were."""
    known = {text_of(row, shape) for row in validation}
    kept = tuple(row for row in train if text_of(row, shape) not in known)
    removed = len(train) - len(kept)
    notes = (say("say.data_shared_removed", count=removed),) if removed else ()
    return Halves(kept, tuple(validation), notes)


def text_of(row: Row, shape: str) -> str:
    """Return what makes two rows the same text, whatever their case and blanks: the input, not what is learnt."""
    found: str
    if shape == LABELS:
        found = f"{row['text']}\n{row.get('text_pair', '')}"
    elif shape == WORDS:
        found = " ".join(row["tokens"])
    elif shape in (ANSWERS, PAIRS):
        found = row["context" if shape == ANSWERS else "source"]
    elif shape in (CHAT, COMPLETION):
        found = _said(row["messages"][:-1])
    elif shape == PREFERENCE:
        found = _said(row["messages"]) or f"{row['chosen']}\n{row['rejected']}"
    elif shape == PICTURES:
        return hashlib.sha256(Path(row["image"]).read_bytes()).hexdigest()
    else:
        found = row.get("text") or json.dumps(row, sort_keys=True, ensure_ascii=False)
    return " ".join(found.casefold().split())


def _said(messages: Iterable[dict[str, str]]) -> str:
    return "\n".join(message["content"] for message in messages)


def _grouped(rows: Sequence[Row], shape: str) -> list[list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[text_of(row, shape)].append(row)
    return list(groups.values())


def _held_out(groups: list[list[Row]], shape: str, fraction: float, chance: random.Random) -> set[int]:
    """Return the numbers of the rows that are held out, class by class."""
    classes: dict[str, list[list[Row]]] = defaultdict(list)
    for group in groups:
        classes[group[0]["label"] if shape == LABELS else ""].append(group)
    held: set[int] = set()
    for label in sorted(classes):
        of_class = classes[label]
        chance.shuffle(of_class)
        wanted = fraction * sum(map(len, of_class))
        held |= _enough(of_class, wanted)
    return held


def _enough(groups: list[list[Row]], wanted: float) -> set[int]:
    """Take groups until `wanted` rows are there; one at least where there are two, and never all."""
    taken: set[int] = set()
    for group in groups[:-1]:
        if taken and len(taken) + len(group) / 2 > wanted:
            break
        taken.update(row["row"] for row in group)
    return taken


def hash_of(halves: Halves) -> str:
    """Return the SHA-256 over all rows of both halves, pictures by their bytes."""
    digest = hashlib.sha256()
    for half in (halves.train, halves.validation):
        for row in half:
            cells = {name: cell for name, cell in row.items() if name not in ("row", "image")}
            digest.update(json.dumps(cells, sort_keys=True, ensure_ascii=False).encode())
            if "image" in row:
                digest.update(Path(row["image"]).read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()
