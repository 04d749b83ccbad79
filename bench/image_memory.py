"""Claim: sliced attention lowers the peak memory of a UNet of Stable Diffusion 1.5's shape; its price in time is told.

One guided step (two passes in one batch) of a UNet of Stable Diffusion 1.5's shape with random weights in float32, at
64 × 64 latents (512 × 512 pixels), in a child process for each way: full attention (`AttnProcessor`, the whole score
matrix at once), sliced attention as Atelier applies it, and PyTorch's fused attention, which Atelier prefers wherever
it runs. Measured are the peak of resident memory beyond the weights, and the seconds of a step after a first one.
Columns: "ours" is the way named first in a line, "plain" the one named second. Target: sliced needs at most 0.8 x the
working memory of full attention, with the same output within 1e-3. Time has no target.

On a quiet machine: `python -m bench.image_memory`; a quick look: `python -m bench.image_memory --runs 1 --latents 32`.
It needs 6 GB of free memory.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Self

from bench._measure import Measure, Outcome, arguments, report

WAYS = ("eager", "sliced", "sdpa")
APART_AT_MOST = 1e-3
LOOK_SECONDS = 0.005
TOKENS = 77
MEGABYTE = 1e6


@dataclass(frozen=True)
class Found:
    """What one way took: bytes of its weights, the peak beyond them, seconds of each step, and some of its output."""

    weights: int
    peak: int
    seconds: tuple[float, ...]
    output: tuple[float, ...]


def shaped_unet() -> Any:
    """Return a UNet of Stable Diffusion 1.5's shape with the same random weights in every process."""
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    unet.to_empty(device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            scale = 0.5 / max(parameter[0].numel(), 1) ** 0.5 if parameter.ndim > 1 else 0.0
            parameter.normal_(std=scale) if scale else parameter.fill_(float("norm" in name and "weight" in name))
    return unet.eval()


def run(way: str, latents: int, runs: int) -> Found:
    """Take `runs` steps and one before them that is not timed; meant for a process of its own."""
    import torch

    from core.models.pipelines import attend

    unet = shaped_unet()
    attend(unet, way)
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(2, 4, latents, latents, generator=generator)
    states = torch.randn(2, TOKENS, 768, generator=generator)
    seconds = []
    with torch.inference_mode(), Watcher() as watcher:
        for _ in range(runs + 1):
            started = time.perf_counter()
            output = unet(noise, 500, states).sample
            seconds.append(time.perf_counter() - started)
    weights = sum(one.numel() * one.element_size() for one in unet.parameters())
    return Found(weights, watcher.peak, tuple(seconds[1:]), tuple(output.flatten()[:: latents * 4].tolist()))


class Watcher:
    """Looks at this process's resident memory until the block ends."""

    peak = 0

    def __enter__(self) -> Self:
        """Begin to look."""
        import threading

        from core.machine.memory import resident_bytes

        before, self._over = resident_bytes(), threading.Event()

        def look() -> None:
            while not self._over.wait(LOOK_SECONDS):
                self.peak = max(self.peak, resident_bytes() - before)

        self._thread = threading.Thread(target=look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()


def measure(latents: int, runs: int) -> Outcome:
    """Run each way in a fresh child process, one after the other."""
    found = {}
    for way in WAYS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[way] = pool.submit(run, way, latents, runs).result()
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return outcome(found, {"latents": latents, "runs": runs, "weights_mb": round(found["eager"].weights / MEGABYTE)})


def outcome(found: dict[str, Found], sizes: dict[str, int]) -> Outcome:
    """Compare peaks and medians of seconds, and all outputs with full attention's."""
    full, sliced, fused = (found[way] for way in WAYS)
    peaks = [one.peak / MEGABYTE for one in (full, sliced, fused)]
    times = [statistics.median(one.seconds) for one in (full, sliced, fused)]
    apart = max(
        abs(mine - theirs) for one in (sliced, fused) for mine, theirs in zip(one.output, full.output, strict=True)
    )
    return Outcome(
        "image_memory",
        "sliced attention needs at most 0.8 x the working memory of full attention; its price is time",
        (
            Measure("working memory, sliced beside full", "MB", peaks[1], peaks[0], target=0.8),
            Measure("one step, sliced beside full", "s", times[1], times[0]),
            Measure("working memory, fused beside full", "MB", peaks[2], peaks[0]),
            Measure("one step, fused beside full", "s", times[2], times[0]),
        ),
        apart <= APART_AT_MOST,
        f"outputs differ by {apart:.2g} at most, {APART_AT_MOST} is allowed",
        sizes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("image_memory", __doc__, latents=64, runs=3).parse_args(argv)
    return report(measure(given.latents, given.runs), given.json)


if __name__ == "__main__":
    sys.exit(main())
