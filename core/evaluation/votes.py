"""Which answer was better: votes on disk, one line each, for everybody who asks how models compare here."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import DiskFull
from core.evaluation.rounds import BAD, EQUAL, LETTERS, Contestant, Round, Rounds, input_digest
from core.jobs.events import Event, EventWriter, read_after
from core.jobs.files import written_whole

VOTE = "vote"
"""The name of a line; other lines are left out."""
QUOTA_BYTES = 20_000_000
"""Of the file: some fifty thousand votes. Beyond it, the oldest votes of those who voted most give way."""
KEPT_SHARE = 0.9
"""What is kept of the quota when it is full, so that the file is not written anew with each vote."""


@dataclass(frozen=True)
class Vote:
    """One judgement; of the question only a digest is kept, and of the answers nothing."""

    time: float
    """Seconds since 1970."""
    owner: str | None
    """A digest; None for whoever sat at this machine."""
    task: str
    models: tuple[Contestant, ...]
    """In the order of their columns."""
    choice: str
    """A letter, EQUAL or BAD."""
    input: str

    @property
    def winner(self) -> Contestant | None:
        """The better one; None where nobody was."""
        return None if self.choice in {EQUAL, BAD} else self.models[LETTERS.index(self.choice)]


class Votes:
    """All votes of one instance, and the rounds that wait for theirs."""

    def __init__(self, folder: Path, quota_bytes: int = QUOTA_BYTES) -> None:
        """Use `folder`, created with the first vote."""
        self._file = folder / "votes.jsonl"
        self._quota_bytes = quota_bytes
        self._lock = threading.Lock()
        self.rounds = Rounds()

    def cast(self, owner: str | None, id: str, choice: str) -> Round:  # noqa: A002
        """Write down what this owner says of a round ("" = the latest), and return it with its names free to be told.

        Raises UnknownName, InvalidInput and Busy as Rounds.judging does, and DiskFull; then it may be judged again.
        """
        with self.rounds.judging(owner, id, choice) as judged:
            self._append(judged)
        return judged

    def of_task(self, task: str) -> list[Vote]:
        """Return the votes on a task, the oldest first; a line that makes no sense is left out."""
        return [vote for event in self._events() if (vote := _read(event)) and vote.task == task]

    def _append(self, judged: Round) -> None:
        line = {
            "owner": judged.owner,
            "task": judged.settings.task,
            "models": [asdict(one) for one in judged.contestants],
            "choice": judged.choice,
            "input": input_digest(judged.settings),
        }
        with self._lock:
            try:
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._make_room()
                writer = EventWriter(self._file)
                try:
                    writer.append(VOTE, line)
                finally:
                    writer.close()
            except OSError as problem:
                raise DiskFull("error.side_not_kept", reason=problem.strerror or type(problem).__name__) from problem

    def _make_room(self) -> None:
        """Write the file anew without what gives way, under the lock, once it is larger than its quota."""
        if not self._file.exists() or self._file.stat().st_size <= self._quota_bytes:
            return
        lines = [(event, _line(event)) for event in self._events()]
        kept = within([(_owner(event), len(line)) for event, line in lines], int(KEPT_SHARE * self._quota_bytes))
        with written_whole(self._file) as draft:
            draft.touch(0o600)
            draft.write_bytes(b"".join(line for place, (_, line) in enumerate(lines) if place in kept))
        logging.getLogger(__name__).warning("removed %d votes: all took more than their quota", len(lines) - len(kept))

    def _events(self) -> list[Event]:
        return read_after(self._file, 0, self._quota_bytes)  # no more lines than bytes


def within(sizes: Sequence[tuple[str | None, int]], most: int) -> Collection[int]:
    """Return which of (owner, bytes), the oldest first, are kept in `most` bytes.

    Of each owner the newest are, up to a share that is the same for all, so that nobody crowds others out.
    """
    used: Counter[str | None] = Counter()
    for owner, size in sizes:
        used[owner] += size
    share, kept = _share(used.values(), most), set()
    taken: defaultdict[str | None, int] = defaultdict(int)
    for place, (owner, size) in reversed(list(enumerate(sizes))):
        taken[owner] += size
        if taken[owner] <= share:
            kept.add(place)
    return kept


def _share(sizes: Collection[int], most: int) -> int:
    """Return the largest share for which everybody's min(size, share) come to `most` together, at most."""
    left = most
    for place, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - place)
        if size > share:
            return share
        left -= size
    return most


def _line(event: Event) -> bytes:
    return json.dumps(asdict(event), ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def _owner(event: Event) -> str | None:
    owner = event.payload.get("owner") if isinstance(event.payload, Mapping) else None
    return owner if isinstance(owner, str) else None


def _read(event: Event) -> Vote | None:
    """Read a vote back; None for a line that is none."""
    if event.name != VOTE or not isinstance(event.payload, Mapping):
        return None
    found: Mapping[str, Any] = event.payload
    try:
        models = tuple(_contestants(found["models"]))
        vote = Vote(event.time, _owner(event), str(found["task"]), models, str(found["choice"]), str(found["input"]))
    except (KeyError, TypeError):
        return None
    known = vote.choice in {*LETTERS[: len(models)], EQUAL, BAD}
    return vote if known and len(set(models)) == len(models) > 1 else None


def _contestants(rows: Any) -> Iterator[Contestant]:
    for row in rows:
        yield Contestant(str(row["name"]), str(row["revision"]), str(row["adapter"]))
