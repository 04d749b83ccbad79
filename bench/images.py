"""Claim: the starter's pictures come at 1.3 times the pictures per second of plain diffusers, pixel for pixel the same.

The plain way is `StableDiffusionPipeline.from_pretrained(folder)` and one call a picture. Atelier runs its skill
`text_to_image` with a warm registry. Both draw the same prompts with the same seeds, steps and guidance in the same
process, in turns. Beside it: four pictures at once on both sides, ours at once beside ours one by
one, and the first picture of a fresh process, from its start to the last pixel.
Targets: at least 1.3 x the pictures per second; pictures that differ by at most 2 of 255 on average.

The model is `starter/emoji`. Where it has not been trained yet, a pipeline of its shape with random weights stands in.

On a quiet machine: `python -m bench.images`; a quick look: `python -m bench.images --pictures 4 --steps 5`.
Where other work keeps the cores busy, read the CPU seconds rather than the wall clock.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._starter import registry
from core.catalogue import find_task, starter_folder, starter_names
from core.imaging.text_to_image import TASK, TextToImageSettings, text_to_image
from core.models.registry import Registry

STAND_IN = "random weights in the starter's shape"
PROMPTS = ("red heart", "pizza", "cat face", "A cat wearing sunglasses", "sun", "bicycle", "snowman", "hot soup")
BATCH = 4
GUIDANCE = 5.0
APART_AT_MOST = 2.0
"""Of 255, the mean over a picture's pixels."""

Draw = Callable[[str, int, int], list[np.ndarray]]
"""Draws pictures of a prompt: from which seed, and how many at once."""


@dataclass(frozen=True)
class Round:
    """Pictures drawn one after the other: seconds on the clock and of CPU, and the pictures in order."""

    seconds: float
    cpu_seconds: float
    pictures: list[np.ndarray]

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return len(self.pictures) / self.seconds


def ours(models: Registry, model: str, steps: int) -> Draw:
    """Return the app's skill."""

    def draw(prompt: str, seed: int, count: int) -> list[np.ndarray]:
        settings = TextToImageSettings(
            prompt=prompt,
            model=model,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            num_images_per_prompt=count,
            seed=seed,
        )
        return [np.asarray(picture.image) for picture in text_to_image(settings, models).pictures]

    return draw


def plain(folder: Path, steps: int) -> Draw:
    """Return plain diffusers."""
    import torch
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)

    def draw(prompt: str, seed: int, count: int) -> list[np.ndarray]:
        generators = [torch.Generator().manual_seed(seed + place) for place in range(count)]
        found = pipeline(
            prompt,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            num_images_per_prompt=count,
            generator=generators,
        )
        return [np.asarray(image) for image in found.images]

    return draw


def drawn(draw: Draw, pictures: int, together: int = 1) -> Round:
    """Draw so many pictures, `together` at once, and time it."""
    started, cpu = time.perf_counter(), time.process_time()
    found: list[np.ndarray] = []
    for first in range(0, pictures, together):
        found += draw(PROMPTS[first // together % len(PROMPTS)], first, together)
    return Round(time.perf_counter() - started, time.process_time() - cpu, found)


def measure(pictures: int, rounds: int, steps: int) -> Outcome:
    """Draw on both sides in turns: single pictures, then batches; and once in fresh processes."""
    starter = find_task(TASK).starter
    there = starter in starter_names()
    with tempfile.TemporaryDirectory() as name:
        folder = starter_folder(starter) if there else stand_in(Path(name))
        model = starter if there else str(folder)
        sides = (ours(registry(), model, steps), plain(folder, steps))
        for draw in sides:
            drawn(draw, 1)
            drawn(draw, BATCH, BATCH)
        single = alternate(rounds, *(_round(draw, pictures, 1) for draw in sides))
        batch = alternate(rounds, *(_round(draw, pictures * BATCH, BATCH) for draw in sides))
        cold = alternate(1, lambda: cold_start(_draw_ours, model, steps),
                         lambda: cold_start(_draw_plain, str(folder), steps))  # fmt: skip
    return outcome(single, batch, cold, {"pictures": pictures, "rounds": rounds, "steps": steps,
                                         "model": starter if there else STAND_IN})  # fmt: skip


def _round(draw: Draw, pictures: int, together: int) -> Callable[[], Round]:
    return lambda: drawn(draw, pictures, together)


def cold_start(draw: Callable[[str, int], None], model: str, steps: int) -> float:
    """Return the seconds from the start of a process to the end of its first picture."""
    started = time.perf_counter()
    process = get_context("spawn").Process(target=draw, args=(model, steps))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"drawing in a process of its own ended with status {process.exitcode}")
    return time.perf_counter() - started


def _draw_ours(model: str, steps: int) -> None:
    ours(registry(), model, steps)(PROMPTS[0], 0, 1)


def _draw_plain(model: str, steps: int) -> None:
    plain(Path(model), steps)(PROMPTS[0], 0, 1)


def outcome(
    single: Sequence[Sequence[Round]],
    batch: Sequence[Sequence[Round]],
    cold: Sequence[Sequence[float]],
    sizes: dict[str, Any],
) -> Outcome:
    """Compare medians of rounds, and every picture."""
    rates, together = _medians(single, "rate"), _medians(batch, "rate")
    cpu = [seconds / len(single[0][0].pictures) for seconds in _medians(single, "cpu_seconds")]
    apart = [difference(*pair) for kind in (single, batch) for pair in zip(*kind, strict=True)]
    return Outcome(
        "images",
        "the starter's pictures come at 1.3 times the pictures per second of plain diffusers, with the same pixels",
        (
            Measure("one picture at a time", "pictures/s", *rates, target=1.3, at_least=True),
            Measure("one picture, CPU", "s", *cpu),
            Measure("four pictures at once", "pictures/s", *together),
            Measure("ours at once (left) and one by one (right)", "pictures/s", together[0], rates[0]),
            Measure("first picture of a fresh process", "s", *(statistics.median(side) for side in cold)),
        ),
        max(apart) <= APART_AT_MOST,
        f"the pictures differ by {max(apart):.3f} of 255 on average at most, {APART_AT_MOST} are allowed",
        sizes,
    )


def _medians(sides: Sequence[Sequence[Round]], name: str) -> list[float]:
    return [statistics.median(getattr(one, name) for one in side) for side in sides]


def difference(one: Round, other: Round) -> float:
    """Return the largest mean difference between pictures of the same place, of 255."""
    pairs = zip(one.pictures, other.pictures, strict=True)
    return max(float(np.abs(mine.astype(float) - theirs.astype(float)).mean()) for mine, theirs in pairs)


def stand_in(folder: Path) -> Path:
    """Write a pipeline of the starter's shape with random weights, whose pictures have some contrast."""
    import torch

    from recipes import emoji
    from recipes._emoji_autoencoder import new_autoencoder
    from recipes._emoji_data import SIZE, Emoji
    from recipes._emoji_diffusion import new_denoiser
    from recipes._emoji_text import new_text_encoder, new_tokenizer

    words = Emoji(PROMPTS, ((),) * len(PROMPTS), ("",) * len(PROMPTS), ("",) * len(PROMPTS), torch.zeros(0))
    plan = emoji.FULL
    with torch.random.fork_rng(devices=[]):
        tokenizer = new_tokenizer(words, plan.text)
        autoencoder = new_autoencoder(plan.autoencoder, 1)
        with torch.no_grad():
            autoencoder.decoder.conv_out.weight *= 10
        denoiser = new_denoiser(plan.denoiser, plan.text.hidden, SIZE // 8, 1)
        emoji.save_pipeline((autoencoder, new_text_encoder(tokenizer, plan.text, 1), tokenizer, denoiser), folder)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("images", __doc__, pictures=8, rounds=5, steps=20).parse_args(argv)
    return report(measure(given.pictures, given.rounds, given.steps), given.json)


if __name__ == "__main__":
    sys.exit(main())
