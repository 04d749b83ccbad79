"""Words that people give their runs, kept in the job's own folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from core.errors import InvalidInput
from core.fields import comma_separated
from core.jobs.files import written_whole

TAGS_FILE = "tags.json"
MOST_TAGS, LONGEST_TAG = 10, 40


def typed_tags(text: str) -> tuple[str, ...]:
    """Read tags that are separated by commas, none twice; raises InvalidInput for too many, and for one too long."""
    found = tuple(dict.fromkeys(comma_separated(text)))
    if len(found) > MOST_TAGS or any(len(one) > LONGEST_TAG for one in found):
        raise InvalidInput("error.too_many_tags", limit=MOST_TAGS, length=LONGEST_TAG)
    return found


def read_tags(folder: Path) -> tuple[str, ...]:
    """Return a job's tags; none where there are none, or the file makes no sense."""
    try:
        held = json.loads((folder / TAGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(str(one) for one in held) if isinstance(held, list) else ()


def write_tags(folder: Path, tags: Iterable[str]) -> None:
    """Replace a job's tags in one step; raises OSError."""
    with written_whole(folder / TAGS_FILE) as draft:
        draft.write_text(json.dumps(list(tags), ensure_ascii=False), encoding="utf-8")
