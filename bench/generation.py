"""Text that is written token by token: faster than the pipeline alone, side by side for many, and nobody held up.

The stories starter goes on with beginnings of stories, always with the best token, so that outputs can be compared:
- one user through `generate_text` (as the page does it, with five candidates at each place), beside the same prompts
  through transformers' text-generation pipeline;
- eight users at the same moment, beside the same app serving their prompts one after another;
- the seconds to the first token of a short request while a long text is being written, and while long prompts are being
  read in parts, beside its time alone (medians);
- the longest gap between two tokens of one text, from the first text of a model that was not warmed up (its step from
  token to token is recorded on the way), beside the usual gap.
All in one process with the same weights, in turns. Outputs: the same texts, to the letter.

On a quiet machine: `python -m bench.generation`; a quick look: `python -m bench.generation --tokens 20 --rounds 1`.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._starter import registry
from core.catalogue import starter_folder
from core.compute.decoding import PROMPT_TOKENS_AT_ONCE, Writing
from core.compute.traced import LONGEST_PAUSE, STEPS_BEFORE
from core.errors import Cancelled
from core.events import CancelToken
from core.models.registry import Registry
from core.quiet import quieten
from core.tasks.text.encoder import Lane
from core.tasks.text.sampling import rule
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
LONG_PROMPT = 32 * PROMPT_TOKENS_AT_ONCE
WARM_UP = 3
"""Rounds before speed is measured: models are loaded, and the step from token to token is recorded."""


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
    longest, usual = _gaps(registry())
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
    behind, unhindered = _first_tokens(models, sizes, _long_text(models))
    behind_prompts, alone_again = _first_tokens(models, sizes, _long_prompt(models))
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
            Measure("first token behind long prompts, beside alone", "ms", behind_prompts * 1e3, alone_again * 1e3,
                    2.0),
            Measure("longest gap between tokens of a first text, beside the usual", "ms", longest * 1e3, usual * 1e3,
                    LONGEST_PAUSE * 1e3, "ours"),
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


def _gaps(models: Registry) -> tuple[float, float]:
    """Return the longest and the median seconds between two tokens of the first text of a model."""
    told: list[float] = []
    generate_text(_settings(PROMPTS[0], 3 * STEPS_BEFORE), models, Lane(), lambda _: told.append(time.perf_counter()))
    gaps = [later - earlier for earlier, later in pairwise(told)]
    return max(gaps), statistics.median(gaps)


Begun = Callable[[], None]
Write = Callable[[CancelToken, Begun], Any]
"""Write a text, tell when something of it is there, and stop where that is asked for."""


def _long_text(models: Registry) -> Write:
    """Return what writes a long text after a long prompt."""
    settings = _settings(" ".join(PROMPTS * 2), 250)
    return lambda cancel, begun: generate_text(settings, models, Lane(cancel=cancel), lambda _: begun())


def _long_prompt(models: Registry) -> Write:
    """Return what reads a prompt of several parts, and writes one token; what is in it does not matter."""
    ids = [5] * LONG_PROMPT

    def write(cancel: CancelToken, begun: Begun) -> None:
        with models.borrow(models.resolve(STARTER, TASK)) as model:
            how = rule(_settings("-", 1), model, len(ids), seed=0)
            models.batcher.write(model.model, Writing(ids, how, told=lambda _: begun(), cancel=cancel))

    return write


def _first_tokens(models: Registry, sizes: Sizes, write: Write) -> tuple[float, float]:
    """Return the median seconds to a short request's first token: while others write, and alone."""

    def behind() -> float:
        with _Unending(write):
            return _first_token(models)

    found = alternate(5 * sizes.rounds, behind, lambda: _first_token(models))
    behind_others, alone = map(statistics.median, found)
    return behind_others, alone


class _Unending:
    """One text after the other is written while the block runs.

    What goes wrong there is raised where the block ends, or at once where it never begins.
    """

    def __init__(self, write: Write) -> None:
        self._text = write
        self._cancel, self._begun = CancelToken(), threading.Event()
        self._writer, self._written = ThreadPoolExecutor(1), Future[None]()

    def _write(self) -> None:
        try:
            with suppress(Cancelled):
                while not self._cancel.cancelled:
                    self._text(self._cancel, self._begun.set)
        finally:
            self._begun.set()

    def __enter__(self) -> None:
        self._written = self._writer.submit(self._write)
        self._begun.wait()
        if self._written.done():
            self._written.result()

    def __exit__(self, *_: object) -> None:
        self._cancel.cancel()
        self._writer.shutdown()
        self._written.result()


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
