"""Answers on disk, so that none is asked for twice: a folder for each model and data, in pieces that never change.

<key>/model.json       who answered: provenance, labels
<key>/part-….jsonl     first line: seconds; then a line for each row, written whole or not at all

The key is the hash of everything that changes an answer. An evaluation that was stopped, or killed, goes on from the
rows that are there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.evaluation.asking import Reply
from core.jobs.files import written_whole

if TYPE_CHECKING:
    from core.provenance import Provenance

FORMAT = 1
"""Raised whenever the same model gives another answer by our own doing."""
MOST_BYTES = 2_000_000_000
"""All answers together; beyond it, those go that were used longest ago."""
MODEL_FILE = "model.json"
PARTS = "part-*.jsonl"
_DECIDING = (
    *("task", "source_language", "target_language", "sentences", "max_new_tokens", "num_beams"),
    *("device", "dtype", "attention", "attention_slicing", "quantisation"),
)
"""The settings that change an answer."""


@dataclass(frozen=True)
class Answerer:
    """Who answered: what provenance tells, and the labels that the model has."""

    provenance: Mapping[str, Any]
    labels: tuple[str, ...] = ()
    max_length: int = 0
    """Tokens that it reads at most; 0 where that is not known."""


@dataclass(frozen=True)
class Identity:
    """Which weights these are: the name alone may mean others tomorrow."""

    model: str
    revision: str
    adapter: str | None


def key_of(identity: Identity, data_hash: str, settings: Any) -> str:
    """Return the hash under which the answers of a model to some rows are kept."""
    from core.jobs.views import installed_versions

    versions = installed_versions()
    parts = {
        "format": FORMAT,
        "identity": asdict(identity),
        "data": data_hash,
        "settings": {name: getattr(settings, name) for name in _DECIDING},
        "versions": {name: versions.get(name) for name in ("torch", "transformers", "peft")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Predictions:
    """The answers of one model to one set of rows; a row is told by its place among them."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, created with the first piece; what is there is read at once."""
        self.folder = folder
        self.seconds = 0.0
        self.replies: dict[int, Reply] = {}
        for part in sorted(folder.glob(PARTS)):
            self._take(part)

    def add(self, places: Sequence[int], replies: Sequence[Reply], seconds: float) -> None:
        """Keep answers in one piece; raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = ({"row": place, **asdict(reply)} for place, reply in zip(places, replies, strict=True))
        lines = [json.dumps(one, ensure_ascii=False) for one in ({"seconds": seconds}, *rows)]
        with written_whole(self.folder / f"part-{places[0]:08}-{uuid.uuid4().hex[:8]}.jsonl") as draft:
            draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.replies.update(zip(places, replies, strict=True))
        self.seconds += seconds

    def missing(self, rows: int) -> list[int]:
        """Return the places that nobody has answered yet."""
        return [place for place in range(rows) if place not in self.replies]

    def tell(self, answerer: Answerer) -> None:
        """Keep who answers; raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self.folder / MODEL_FILE) as draft:
            draft.write_text(json.dumps(asdict(answerer), ensure_ascii=False), encoding="utf-8")

    @property
    def answerer(self) -> Answerer | None:
        """Who has answered; None where that is not known, and the model must be asked again."""
        try:
            held = json.loads((self.folder / MODEL_FILE).read_text(encoding="utf-8"))
            return Answerer(held["provenance"], tuple(held["labels"]), held["max_length"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _take(self, part: Path) -> None:
        """Read a piece; one that makes no sense is as if it were not there."""
        try:
            first, *rows = [json.loads(line) for line in part.read_text(encoding="utf-8").split("\n") if line]
            read = {int(row.pop("row")): Reply(**row) for row in rows}
            seconds = float(first["seconds"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        self.replies.update(read)
        self.seconds += seconds


def provenance_as_dict(provenance: Provenance) -> dict[str, Any]:
    """Return what is kept of who answered."""
    return {**provenance.as_dict(), "lineage": list(provenance.lineage)}


def sweep(folder: Path, keep: Sequence[str] = (), most_bytes: int = MOST_BYTES) -> int:
    """Remove answers used longest ago until the rest fits; those under the keys of `keep` stay. Returns bytes freed."""
    sizes = {one: _bytes_in(one) for one in _folders(folder)}
    whole, freed = sum(sizes.values()), 0
    for one in sorted(sizes, key=lambda path: path.stat().st_mtime):
        if whole - freed <= most_bytes:
            break
        if one.name not in keep:
            shutil.rmtree(one, ignore_errors=True)
            freed += sizes[one]
    return freed


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (one for one in folder.iterdir() if one.is_dir())


def _bytes_in(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.iterdir())
