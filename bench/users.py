"""Eight people who ask at the same moment are served together, faster than one after another.

Each of the users asks short texts through `classify_text` and asks the next as soon as the answer is there; requests
that wait for the same model share a forward pass (core/compute/batching.py). Beside it, the same texts one after
another through the transformers pipeline, and through Atelier for a single user; all in one process with the same
weights, a share of the texts at a time in turns. For information, without a target.
Outputs: the same labels, scores within 0.02 (a shared pass may pad and round differently).

On a quiet machine: `python -m bench.users`; a quick look: `python -m bench.users --questions 5`.
Where other work keeps the cores busy, threads wait for cores rather than for each other, and the ratio says little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench._agreement import Tolerance, agreement
from bench._measure import Measure, Outcome, arguments, report
from bench._starter import STARTER, plain_pipeline, registry, save_plain_apart
from bench._texts import short_texts
from core.tasks.text.text_classification import TextClassificationSettings, classify_text

Answers = list[dict[str, Any]]
ROUNDS = 5


def measure(users: int, questions: int) -> Outcome:
    """Let `users` ask `questions` each, in rounds; after each round the same texts go one after another."""
    models = registry()
    with tempfile.TemporaryDirectory() as folder:
        pipe = plain_pipeline(save_plain_apart(Path(folder)))

    def ask(text: str) -> dict[str, Any]:
        return classify_text(TextClassificationSettings(text=text, model=STARTER, top_k=1), models).result[0]

    with ThreadPoolExecutor(users) as people:
        ways: tuple[Callable[[Sequence[str]], Answers], ...] = (
            lambda texts: list(people.map(ask, texts)),
            lambda texts: [pipe(text)[0] for text in texts],
            lambda texts: [ask(text) for text in texts],
        )
        for way in ways:
            way(short_texts(users, seed=1))
        seconds, answers = _in_rounds(ways, users, questions)
    return outcome(seconds, answers, {"users": users, "questions": questions})


def _in_rounds(
    ways: Sequence[Callable[[Sequence[str]], Answers]], users: int, questions: int
) -> tuple[list[float], list[Answers]]:
    texts = short_texts(users * questions)
    size = -(-len(texts) // ROUNDS)
    seconds, answers = [0.0 for _ in ways], [Answers() for _ in ways]
    for first in range(0, len(texts), size):
        for place, way in enumerate(ways):
            started = time.perf_counter()
            answers[place] += way(texts[first : first + size])
            seconds[place] += time.perf_counter() - started
    return seconds, answers


def outcome(seconds: Sequence[float], answers: Sequence[Answers], sizes: dict[str, int]) -> Outcome:
    """Compare requests a second, and the answers of people together with the pipeline's."""
    together, pipeline, alone = (len(answers[0]) / one for one in seconds)
    same = agreement(answers[0], answers[1], Tolerance(labels=0.995, score=0.02))
    return Outcome(
        "users",
        "people who ask at the same moment are served together, faster than one after another",
        (
            Measure("beside the pipeline, one by one", "1/s", together, pipeline),
            Measure("beside ours, one by one", "1/s", together, alone),
        ),
        same.equal,
        same.words,
        sizes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("users", __doc__, users=8, questions=40).parse_args(argv)
    return report(measure(given.users, given.questions), given.json)


if __name__ == "__main__":
    sys.exit(main())
