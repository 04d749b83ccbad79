"""Claim: many sentences are translated at three times the sentences per second of a loop over `generate`.

The plain way is `model.generate(**tokenizer(sentence, return_tensors="pt"))` for one sentence after the other. Atelier
runs what a table runs (`translate_texts`, in the background lane): it finds the sentences, sorts them by length, and
writes them in padded batches through the same `generate`, which gives way to others between two tokens. Both use the
same weights in float32 in the same process, in turns, a share of the sentences at a time; the sums are compared.
Beside it, for information, both with `num_beams=1`.
Targets: at least 3 x the sentences per second; the same translation for at least 99 % of the sentences (padding rounds
differently, and a tie between two beams may fall the other way).

The model is `starter/translate-en-fr`. Where it has not been trained yet, a model of its shape with random weights
stands in: recipes/_pairs.py makes it, with a tokenizer made from the sentences, and both sides write 16 tokens a
sentence at most, about as many as a translation has, for random weights never end.

On a quiet machine: `python -m bench.translation`; a quick look: `python -m bench.translation --sentences 40`.
Where other work keeps the cores busy, read the CPU seconds rather than the wall clock.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._measure import Measure, Outcome, arguments, report
from bench._starter import registry
from bench._texts import short_texts
from core.catalogue import find_task, starter_folder, starter_names
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.quiet import quieten
from core.tasks.text.encoder import Lane
from core.tasks.text.translation import TASK, TranslationSettings, translate_texts

STAND_IN = "random weights in the starter's shape"
SHAPE_TOKENS = 16
"""Tokens that the stand-in writes at most."""
EQUAL_AT_LEAST = 0.99

Way = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class Pass:
    """All sentences gone through once, in shares: seconds on the clock, seconds of CPU, translations in order."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    translations: tuple[str, ...] = ()

    def then(self, way: Way, texts: Sequence[str]) -> Pass:
        """Go through another share."""
        started, cpu = time.perf_counter(), time.process_time()
        made = way(texts)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        return Pass(self.seconds + seconds, self.cpu_seconds + cpu_seconds, (*self.translations, *made))


def plain(folder: Path, **options: Any) -> Way:
    """Return the loop over `generate`."""
    import torch
    import transformers

    quieten("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype="float32").eval()

    def one_by_one(texts: Sequence[str]) -> list[str]:
        made = []
        with torch.inference_mode():
            for text in texts:
                ids = model.generate(**tokenizer(text, return_tensors="pt"), **options)[0]
                made.append(tokenizer.decode(ids, skip_special_tokens=True).strip())
        return made

    return one_by_one


def ours(models: Registry, model: LoadedModel, settings: TranslationSettings) -> Way:
    """Return what a table runs, with a model that is borrowed already."""

    def together(texts: Sequence[str]) -> list[str]:
        found = translate_texts(texts, settings, models, model, Lane(background=True))
        return [one[0]["translation_text"] for one in found]

    return together


def measure(sentences: int, shares: int) -> Outcome:
    """Send the sentences through all four ways, `shares` shares in turns, after a small share that does not count."""
    starter = find_task(TASK).starter
    with tempfile.TemporaryDirectory() as name:
        there = starter in starter_names()
        folder = starter_folder(starter) if there else stand_in(Path(name), short_texts(sentences))
        models = registry()
        settings = TranslationSettings(text="-", model=starter if there else str(folder), dtype="float32", device="cpu")
        greedy = TranslationSettings(text="-", model=settings.model, dtype="float32", device="cpu", num_beams=1)
        with models.borrow(settings.spec(models, TASK)) as model:
            ways = (
                ours(models, model, settings),
                plain(folder),
                ours(models, model, greedy),
                plain(folder, num_beams=1),
            )
            passes = in_turns(ways, short_texts(sentences), shares)
    return outcome(passes, {"sentences": sentences, "shares": shares, "model": starter if there else STAND_IN})


def in_turns(ways: Sequence[Way], texts: Sequence[str], shares: int) -> list[Pass]:
    """Send each share through all ways before the next share, forwards and backwards by turns."""
    for way in ways:
        way(short_texts(4, seed=1))
    passes = [Pass() for _ in ways]
    for number, share in enumerate(_shares(texts, shares)):
        for place in (range(len(ways)), reversed(range(len(ways))))[number % 2]:
            passes[place] = passes[place].then(ways[place], share)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return passes


def _shares(texts: Sequence[str], shares: int) -> Iterator[Sequence[str]]:
    size = -(-len(texts) // shares)
    return (texts[first : first + size] for first in range(0, len(texts), size))


def stand_in(folder: Path, texts: Sequence[str]) -> Path:
    """Write a model of the starter's shape with random weights, and a tokenizer made from these texts."""
    import torch

    from recipes import _pairs
    from recipes._scratch import byte_level_tokenizer, save_starter
    from recipes.translate_en_fr import RECIPE, SHAPE

    tokenizer = byte_level_tokenizer(texts, RECIPE.vocabulary, _pairs.SPECIALS, _pairs.TEMPLATE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RECIPE.seed)
        model = _pairs.new_model(tokenizer, SHAPE, RECIPE.dropout)
        model.generation_config.max_new_tokens = SHAPE_TOKENS
        save_starter(model, tokenizer, folder)
    return folder


def outcome(passes: Sequence[Pass], sizes: dict[str, Any]) -> Outcome:
    """Compare sentences per second and translations: ours and the loop's, and both without beams."""
    batched, loop, greedy, greedy_loop = passes
    count = len(batched.translations)
    speeds = [count / one.seconds for one in passes]
    same = [_equal(batched, loop), _equal(greedy, greedy_loop)]
    return Outcome(
        "translation",
        "many sentences are translated at three times the sentences per second of a loop over generate",
        (
            Measure("sentences a second", "1/s", *speeds[:2], target=3.0, at_least=True),
            Measure("CPU a sentence", "ms", *(1000 * one.cpu_seconds / count for one in (batched, loop))),
            Measure("num_beams=1: sentences a second", "1/s", *speeds[2:]),
            Measure("num_beams=1: CPU a sentence", "ms", *(1000 * one.cpu_seconds / count for one in passes[2:])),
        ),
        min(same) >= EQUAL_AT_LEAST,
        f"{same[0]:.1%} of {count:,} texts equal (at least {EQUAL_AT_LEAST:.0%}), {same[1]:.1%} with num_beams=1",
        sizes,
    )


def _equal(one: Pass, other: Pass) -> float:
    pairs = list(zip(one.translations, other.translations, strict=True))
    return sum(mine == theirs for mine, theirs in pairs) / len(pairs)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("translation", __doc__, sentences=500, shares=5).parse_args(argv)
    return report(measure(given.sentences, given.shares), given.json)


if __name__ == "__main__":
    sys.exit(main())
