"""A data set on the Hub, read by `datasets`: tables only, never code; what failed is said in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadFile, HubError, HubGated, HubMissing, HubUnreachable, InvalidInput
from core.training.data.pictures import keep_picture
from core.training.data.source import Source
from core.training.data.watch import Watch
from core.words import Sentence, say

MOST_ROWS = 500_000
"""What is held in memory while a data set is checked; `max_samples` draws fewer."""
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


@dataclass(frozen=True)
class HubPlace:
    """Which rows of which data set."""

    name: str
    """Id with or without @revision."""
    config: str
    split: str
    most: int
    """Rows that are drawn; 0 = all."""
    seed: int

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit that was asked for."""
        return self.name.partition("@")[2] or None

    @property
    def id(self) -> str:
        """The name without its revision."""
        return self.name.partition("@")[0]


def read_hub_dataset(place: HubPlace, pictures: Path, watch: Watch, token: str | None = None) -> Source:
    """Read a split; class numbers become names, pictures become files in `pictures`.

    Raises InvalidInput for a name that is none, HubMissing, HubGated or HubUnreachable, and BadFile for a data set that
    needs code, has no such split or configuration, or more rows than are held at once.
    """
    if not NAME.fullmatch(place.name) or ".." in place.name or Path(place.id).exists():  # `datasets` would read it
        raise InvalidInput("error.data_hub_name", name=place.name)
    watch.tell("download", 0, 0)
    found = _load(place, token)
    notes: tuple[Sentence, ...] = ()
    if place.most and place.most < len(found):
        notes = (say("say.data_drawn", count=place.most, total=len(found), seed=place.seed),)
        found = found.shuffle(seed=place.seed).select(range(place.most))
    if len(found) > MOST_ROWS:
        raise BadFile("error.data_hub_rows", name=place.name, rows=len(found), limit=MOST_ROWS)
    problems: dict[int, Sentence] = {}
    rows = list(watch.over("read", named_rows(found, pictures, problems), len(found)))
    return Source(place.name, tuple(found.column_names), rows, problems, notes, correctable=False)


def _load(place: HubPlace, token: str | None) -> Any:
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    disable_progress_bars()
    try:
        return load_dataset(place.id, place.config or None, split=place.split, revision=place.revision, token=token)
    except GatedRepoError as problem:
        raise HubGated("error.data_hub_gated", name=place.id) from problem
    except (DatasetNotFoundError, RepositoryNotFoundError) as problem:
        raise _missing(place, problem) from problem
    except (ConnectionError, HfHubHTTPError, TimeoutError) as problem:
        raise HubUnreachable("error.data_hub_unreachable", name=place.id) from problem
    except (DatasetsError, ValueError, RuntimeError, FileNotFoundError, OSError) as problem:
        raise BadFile("error.data_hub_unusable", name=place.name, reason=_first_line(problem)) from problem


def _missing(place: HubPlace, problem: Exception) -> HubError:
    """Tell a data set behind a licence from one that is not there: `datasets` has one exception for both."""
    if "gated" in str(problem):
        return HubGated("error.data_hub_gated", name=place.id)
    return HubMissing("error.data_hub_missing", name=place.name)


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:300] if lines else type(problem).__name__


def named_rows(found: Any, pictures: Path, problems: dict[int, Sentence]) -> Iterator[dict[str, Any]]:
    """Give each row with the names of its classes, and the paths of its pictures."""
    from datasets import Image

    images = [name for name, feature in found.features.items() if isinstance(feature, Image)]
    for name in images:
        found = found.cast_column(name, Image(decode=False))
    namers = {name: namer for name, feature in found.features.items() if (namer := _namer(feature))}
    for place, row in enumerate(found):
        for name, namer in namers.items():
            row[name] = namer(row[name])
        for name in images:
            row[name] = _picture(row[name], pictures / f"{place + 1:06}.png", place, problems)
        yield row


def _namer(feature: Any) -> Any:
    """Return what turns class numbers into names, alone or in a list; None for other columns."""
    from datasets import ClassLabel

    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else None)
    if isinstance(feature, ClassLabel):
        return lambda number: _class_name(feature, number)
    if isinstance(inner, ClassLabel):
        return lambda numbers: None if numbers is None else [_class_name(inner, one) for one in numbers]
    return None


def _class_name(feature: Any, number: int | None) -> str | None:
    """Return None where a row has no label: data sets write that as -1."""
    return None if number is None or number < 0 else str(feature.int2str(number))


def _picture(cell: Any, file: Path, place: int, problems: dict[int, Sentence]) -> str | None:
    raw = (cell or {}).get("bytes")
    path = (cell or {}).get("path")
    if raw is None and path and Path(path).is_file():
        raw = Path(path).read_bytes()
    reason = keep_picture(raw, file) if raw else say("say.data_picture_missing", name=str(path or ""))
    if reason is not None:
        problems[place] = reason
        return None
    return str(file)
