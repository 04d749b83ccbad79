"""Batches of latents with their noise: what a row gets depends on the seed, the step and the row, and nothing else.

So one process and two see the same numbers, and a training that goes on after a stop sees those it would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.training.pictures.captions import token_rows
from core.training.pictures.encoding import Encoded
from core.training.pictures.parts import SDXL, PictureParts

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]
"""latents noise times; states [pooled] or tokens_0 [tokens_1]; of SDXL time_ids."""
HELD_OUT = -1
"""Instead of a step: evaluations must be comparable, so that each row's noise is always the same."""
GOLDEN = 0.6180339887498949
"""Multiples of it spread evenly between 0 and 1, however many there are."""


@dataclass(frozen=True)
class BatchMaker:
    """Makes batches of one data set."""

    parts: PictureParts
    encoded: Encoded
    seed: int
    noise_offset: float = 0.0

    def batch(self, places: Sequence[int], step: int) -> Batch:
        """Return the rows at `places` as they are in this step (HELD_OUT: in every evaluation), on the CPU."""
        import torch

        rows = [self._row(place, step) for place in places]
        names = rows[0].keys()
        stacked = {name: torch.stack([row[name] for row in rows]) for name in names}
        return {**stacked, **({} if self.encoded.has_states else self._tokens(places))}

    def _row(self, place: int, step: int) -> Batch:
        import torch

        generator = torch.Generator().manual_seed(_seed_of(self.seed, step, place))
        chosen, told = self._cut(place, step, generator)
        mean, deviation = chosen.chunk(2)
        latents = (mean + deviation * _normal(mean, generator)) * self.parts.vae.config.scaling_factor
        noise = _normal(mean, generator)
        if self.noise_offset:
            noise = noise + self.noise_offset * _normal(mean[:, :1, :1], generator)
        row = {"latents": latents, "noise": noise, "times": self._time(place, step, generator)}
        if self.encoded.has_states:
            states, pooled = self.encoded.states(place)
            row |= {"states": states} if pooled is None else {"states": states, "pooled": pooled}
        if self.parts.family == SDXL:
            row["time_ids"] = torch.tensor([*told, *2 * (self.encoded.how.resolution,)], dtype=torch.float32)
        return row

    def _time(self, place: int, step: int, generator: torch.Generator) -> torch.Tensor:
        import torch

        times = int(self.parts.noise_scheduler.config.num_train_timesteps)
        if step == HELD_OUT:
            return torch.tensor(int((place * GOLDEN) % 1 * times))
        return torch.randint(times, (), generator=generator)

    def _cut(self, place: int, step: int, generator: torch.Generator) -> tuple[torch.Tensor, tuple[int, ...]]:
        """Return the part of a picture's latents that is seen, and what SDXL is told of it."""
        import torch

        how, factor = self.encoded.how, self.parts.factor
        learning = step != HELD_OUT
        flipped = how.random_flip and learning and bool(torch.rand((), generator=generator) < 0.5)  # noqa: PLR2004 a coin
        latents = self.encoded.latents(place, flipped=flipped)
        height, width, top, left = self.encoded.told(place)
        if how.center_crop:
            return latents, (height, width, top, left)
        side = how.resolution // factor
        room = [length - side for length in latents.shape[1:]]
        corner = [_drawn(space, generator) if learning else space // 2 for space in room]
        row, column = corner
        seen = latents[:, row : row + side, column : column + side]
        return seen, (height, width, row * factor, column * factor)

    def _tokens(self, places: Sequence[int]) -> Batch:
        texts = [self.encoded.pictures[place].caption for place in places]
        return {f"tokens_{number}": rows for number, rows in enumerate(token_rows(self.parts.tokenizers, texts))}


def _drawn(space: int, generator: torch.Generator) -> int:
    import torch

    return int(torch.randint(space + 1, (), generator=generator))


def _normal(like: Any, generator: torch.Generator) -> torch.Tensor:
    import torch

    return torch.randn(like.shape, generator=generator)


def _seed_of(*numbers: int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=7).digest())
