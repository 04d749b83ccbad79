"""What is wrong with rows: each problem named by file, row, column and cause, the first twenty of them."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadFile
from core.words import Sentence, say

MOST_NAMED = 20


@dataclass(frozen=True)
class Problem:
    """One cell, or one row, that cannot be learnt from."""

    row: int
    """Number in the file, from 1 below the header."""
    column: str
    """The file's own name for it; "" where the whole row is meant."""
    cause: Sentence

    @property
    def sentence(self) -> Sentence:
        """Say where, and what."""
        if not self.column:
            return say("say.data_row_problem", row=self.row, cause=self.cause)
        return say("say.data_cell_problem", row=self.row, column=self.column, cause=self.cause)


class Problems:
    """Collects what is wrong with a file; only the first are kept, all are counted."""

    def __init__(self, file: str) -> None:
        """Begin without any."""
        self.file = file
        self.first: list[Problem] = []
        self.count = 0

    def add(self, row: int, column: str, cause: Sentence) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(Problem(row, column, cause))

    def refuse(self) -> None:
        """Raise BadFile that names the first problems and counts the others; nothing where there is none."""
        if self.count:
            raise BadFile("error.data_problems", file=self.file, count=self.count, problems=listed(self.first))


def listed(problems: list[Problem]) -> Sentence:
    """Return the problems as one sentence with a line for each."""
    *before, last = [problem.sentence for problem in problems]
    found = last
    for one in reversed(before):
        found = say("say.data_two_lines", first=one, rest=found)
    return found
