"""What was shown to be judged blind, until it is: kept in memory, for its owner alone, and judged once.

A vote names a round, never models: who answered, and in which column, only the server knows until then.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import SystemRandom

from core.errors import Busy, InvalidInput, UnknownName
from core.jobs.views import digest
from core.remote.names import is_remote
from core.tasks.text.question import Answered
from core.tasks.text.side_by_side import FEWEST_BLIND, SideBySideSettings

LETTERS = "ABCD"
EQUAL, BAD = "equal", "bad"
"""What can be said instead of a letter: all alike, or none of any use."""
MOST_ROUNDS, MOST_ROUNDS_EACH = 400, 20
"""Rounds that are remembered: of all visitors, and of one; the oldest go."""


@dataclass(frozen=True, order=True)
class Contestant:
    """A model as votes know it: another revision or adapter is another model."""

    name: str
    revision: str
    adapter: str = ""

    @classmethod
    def of(cls, answered: Answered) -> Contestant:
        """Read it from what ran; a model elsewhere keeps the name it was asked by, which says where it is."""
        ran = answered.provenance
        if ran is None:
            raise ValueError("no answer")
        name = answered.model if is_remote(answered.model) else ran.model
        return cls(name, ran.revision, ran.adapter or "")


@dataclass(frozen=True)
class Round:
    """One blind question: its answers in the order of their columns, and what was said of them."""

    id: str
    owner: str | None
    """A digest; None for whoever sits at this machine."""
    settings: SideBySideSettings
    answers: tuple[Answered, ...]
    silent: tuple[Answered, ...] = ()
    """Models that refused: nobody can judge what they did not say."""
    choice: str = ""
    """A letter, EQUAL or BAD; "" until it was judged."""

    @property
    def letters(self) -> str:
        """The names of its columns."""
        return LETTERS[: len(self.answers)]

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be said of it."""
        return (*self.letters, EQUAL, BAD)

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """Who answered, by column."""
        return tuple(map(Contestant.of, self.answers))


def can_be_judged(answers: Sequence[Answered]) -> bool:
    """Tell whether a vote would say anything: several whole answers, each of another model."""
    whole = [Contestant.of(one) for one in answers if one.provenance]
    return not any(one.stopped for one in answers) and len(set(whole)) == len(whole) >= FEWEST_BLIND


def input_digest(settings: SideBySideSettings) -> str:
    """Return what a vote keeps of the question: equal for the same task and input, and not to be turned back."""
    asked = (settings.task, settings.text, settings.source_language, settings.target_language)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


class Rounds:
    """The rounds that wait for a vote, and those that had theirs; another's is as unknown as one that never was."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = threading.Lock()
        self._rounds: dict[str, Round] = {}
        self._judging: set[str] = set()

    def open(self, owner: str | None, settings: SideBySideSettings, answers: Sequence[Answered]) -> Round:
        """Remember what is shown, its columns in an order drawn by chance; `answers` can be judged."""
        shown = [one for one in answers if one.provenance]
        SystemRandom().shuffle(shown)
        silent = tuple(one for one in answers if not one.provenance)
        new = Round(uuid.uuid4().hex, _whose(owner), settings, tuple(shown), silent)
        with self._lock:
            self._rounds[new.id] = new
            self._forget(new.owner)
        return new

    def find(self, owner: str | None, id: str) -> Round:  # noqa: A002
        """Return one's own round, or the latest where no id is named; raises UnknownName."""
        with self._lock:
            return self._find(owner, id)

    @contextmanager
    def judging(self, owner: str | None, id: str, choice: str) -> Iterator[Round]:  # noqa: A002
        """Lend a round with the choice in it; it is judged if the block ends well.

        Raises UnknownName, InvalidInput for a choice it does not offer, Busy if it is judged or being judged.
        """
        with self._lock:
            found = self._find(owner, id)
            if found.choice or found.id in self._judging:
                raise Busy("error.side_judged")
            if choice not in found.choices:
                raise InvalidInput("error.not_an_option", name="choice", value=choice, options=", ".join(found.choices))
            self._judging.add(found.id)
        judged = replace(found, choice=choice)
        try:
            yield judged
            with self._lock:
                self._rounds[found.id] = judged
        finally:
            with self._lock:
                self._judging.discard(found.id)

    def _find(self, owner: str | None, id: str) -> Round:  # noqa: A002
        own = [one for one in self._rounds.values() if one.owner == _whose(owner) and id in {"", one.id}]
        if not own:
            raise UnknownName("error.side_unknown")
        return own[-1]

    def _forget(self, owner: str | None) -> None:
        """Drop the oldest of this owner's, and of all, under the lock."""
        own = [one.id for one in self._rounds.values() if one.owner == owner]
        everybodys = list(self._rounds)
        for id_ in {*own[:-MOST_ROUNDS_EACH], *everybodys[:-MOST_ROUNDS]}:
            del self._rounds[id_]


def _whose(owner: str | None) -> str | None:
    return None if owner is None else digest(owner)
