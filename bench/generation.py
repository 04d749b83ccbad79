"""Text that is written token by token: faster than the pipeline alone, side by side for many, and nobody held up.

The stories starter goes on with beginnings of stories, always with the best token, so that outputs can be compared:
- one user through `generate_text` (as the page does it, with five candidates at each place), beside the same prompts
  through transformers' text-generation pipeline;
- eight users at the same moment, beside the same app serving their prompts one after another;
- the seconds to the first token of a short request while a long text is being written, beside its time alone (medians).
All in one process with the same weights, in turns. Outputs: the same texts, to the letter.

On a quiet machine: `python -m bench.generation`; a quick look: `python -m bench.generation --tokens 20 --rounds 1`.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._starter import registry
from core.catalogue import starter_folder
from core.errors import Cancelled
from core.events import CancelToken
from core.models.registry import Registry
from core.quiet import quieten
from core.tasks.text.encoder import Lane
from core.tasks.text.text_generation import TASK, TextGenerationSettings, generate_text

STARTER = "starter/stories"
PROMPTS = (
    "Once upon a time, a little dragon",
    "Tom and his sister found a box in the garden. Inside",
    "The old king was sad because",
    "It was a sunny day and the children went to the lake.",
    "One day, Lily saw a big red",
    "The little bird could not fly, so",
    "Mom said they could have cake after dinner, but Ben",
    "In a small house by the sea there lived a",
)
WARM_UP = 3
"""Rounds before anything is measured: models are loaded, and the step from token to token is recorded."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    tokens: int
    rounds: int
    users: int

    @property
    def prompts(self) -> list[str]:
        """One prompt a user."""
        return [PROMPTS[place % len(PROMPTS)] for place in range(self.users)]


@dataclass(frozen=True)
class Timed:
    """The texts of one round, and the seconds they took together."""

    texts: tuple[str, ...]
    seconds: float


def measure(sizes: Sizes) -> Outcome:
    """Measure all three, in turns."""
    models = registry()
    pipe = _pipeline()

    def ours(prompt: str) -> str:
        return generate_text(_settings(prompt, sizes.tokens), models).result[0]["generated_text"]

    def plain(prompt: str) -> str:
        made = pipe(prompt, do_sample=False, max_new_tokens=sizes.tokens, min_new_tokens=sizes.tokens)
        return str(made[0]["generated_text"])

    with ThreadPoolExecutor(sizes.users) as people:
        ways = (
            _timed(lambda: people.map(ours, sizes.prompts)),
            _timed(lambda: map(ours, sizes.prompts)),
            _timed(lambda: map(plain, sizes.prompts)),
        )
        for way in ways * WARM_UP:
            way()
        alone, by_pipeline = alternate(sizes.rounds, ways[1], ways[2])
        together, one_by_one = alternate(sizes.rounds, ways[0], ways[1])
    behind, unhindered = _first_tokens(models, sizes)
    texts = {one.texts for one in (*alone, *by_pipeline, *together, *one_by_one)}
    written = sizes.tokens * sizes.users
    return Outcome(
        "generation",
        "texts are written faster than by the pipeline, side by side for many, and a long one holds nobody up",
        (
            Measure("one user, beside the pipeline", "tokens/s", _rate(alone, written), _rate(by_pipeline, written),
                    1.3, at_least=True),
            Measure("all users at once, beside ours one by one", "tokens/s", _rate(together, written),
                    _rate(one_by_one, written), 3.0, at_least=True),
            Measure("first token behind a long text, beside alone", "ms", behind * 1e3, unhindered * 1e3, 2.0),
        ),
        len(texts) == 1,
        f"{len(texts.pop())} texts of {sizes.tokens} tokens, the same to the letter in every round" if len(texts) == 1
        else f"{len(texts)} different rounds of texts",
        {"tokens": sizes.tokens, "rounds": sizes.rounds, "users": sizes.users},
    )  # fmt: skip


def _pipeline() -> Any:
    from transformers import pipeline

    quieten("transformers")
    return pipeline(TASK, model=str(starter_folder(STARTER)), device="cpu")


def _settings(prompt: str, tokens: int) -> TextGenerationSettings:
    return TextGenerationSettings(
        prompt=prompt, model=STARTER, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens
    )


def _timed(write: Callable[[], Any]) -> Callable[[], Timed]:
    def run() -> Timed:
        started = time.perf_counter()
        texts = tuple(write())
        return Timed(texts, time.perf_counter() - started)

    return run


def _rate(rounds: Sequence[Timed], tokens: int) -> float:
    """Return tokens per second in the median round."""
    return tokens / statistics.median(one.seconds for one in rounds)


def _first_tokens(models: Registry, sizes: Sizes) -> tuple[float, float]:
    """Return the median seconds to a short request's first token: while a long text is being written, and alone."""

    def behind() -> float:
        with _long_text(models):
            return _first_token(models)

    found = alternate(5 * sizes.rounds, behind, lambda: _first_token(models))
    behind_a_long_text, alone = map(statistics.median, found)
    return behind_a_long_text, alone


class _long_text:  # noqa: N801 reads as `with _long_text(models):`
    """Long texts with long prompts are written, one after the other, while the block runs."""

    def __init__(self, models: Registry) -> None:
        self._models, self._cancel, self._begun = models, CancelToken(), threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        settings = _settings(" ".join(PROMPTS * 2), 250)
        with suppress(Cancelled):
            while True:
                generate_text(settings, self._models, Lane(cancel=self._cancel), lambda _: self._begun.set())

    def __enter__(self) -> None:
        self._thread.start()
        self._begun.wait()

    def __exit__(self, *_: object) -> None:
        self._cancel.cancel()
        self._thread.join()


def _first_token(models: Registry) -> float:
    """Return the seconds from a short request to its first token."""
    started, first = time.perf_counter(), 0.0

    def told(_: Sequence[str]) -> None:
        nonlocal first
        first = first or time.perf_counter() - started

    generate_text(_settings(PROMPTS[2], 8), models, Lane(), told)
    return first


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("generation", __doc__, tokens=100, rounds=7, users=8).parse_args(argv)
    return report(measure(Sizes(given.tokens, given.rounds, given.users)), given.json)


if __name__ == "__main__":
    sys.exit(main())
