"""One request while it runs: its places, its seeds, and what is drawn already."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.imaging.adapters import Overlay
from core.imaging.canvas import Canvas
from core.imaging.grid import Cell
from core.imaging.options import LARGEST_SEED, DrawingOptions
from core.imaging.pictures import Picture, Watch
from core.models.loading import LoadedModel
from core.provenance import Provenance
from core.words import Sentence

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Run:
    """Pictures that are drawn together: the same settings, one seed each."""

    cell: Cell
    seeds: tuple[int, ...]
    steps: int


@dataclass
class Request:
    """What was asked for and what has come of it; outlives an attempt that ran out of memory."""

    settings: DrawingOptions
    canvas: Canvas
    watch: Watch
    overlay: Overlay
    cells: list[Cell]
    pictures: list[Picture] = field(default_factory=list)
    notes: list[Sentence] = field(default_factory=list)
    singly: bool = False
    """One picture at a time: memory ran out before."""
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began

    def tell(self, note: Sentence) -> None:
        """Note it once, and tell whoever looks on."""
        if note not in self.notes:
            self.notes.append(note)
            self.watch.note(note)

    def runs(self) -> list[Run]:
        """Return what is still to be drawn, in order."""
        found: list[Run] = []
        place = 0
        for cell in self.cells:
            seeds = _seeds(cell.settings)
            missing = seeds[max(len(self.pictures) - place, 0) :]
            place += len(seeds)
            groups = [(seed,) for seed in missing] if self.singly else [missing]
            steps = self.canvas.steps(cell.settings.num_inference_steps)
            found.extend(Run(cell, group, steps) for group in groups if group)
        return found

    def keep(self, run: Run, images: Iterable[Image], scheduler: str, model: LoadedModel) -> None:
        """Take finished pictures over, and hand each on at once."""
        for seed, image in zip(run.seeds, images, strict=True):
            alone: dict[str, Any] = {"seed": seed, "num_images_per_prompt": 1, "scheduler": scheduler}
            if self.canvas.shape is None:
                alone |= {"width": image.width, "height": image.height}
            picture = Picture(
                image,
                seed,
                replace(run.cell.settings, **alone),
                run.cell.labels,
                len(self.pictures),
                self.provenance(model, seed),
            )
            self.pictures.append(picture)
            self.watch.keep(picture)

    def provenance(self, model: LoadedModel, seed: int) -> Provenance:
        """Return what drew, so far: with what was laid over the model, and what had to be done otherwise."""
        plain = model.provenance(self.seconds, seed)
        fallbacks = (*plain.fallbacks, *map(str, self.notes))
        return replace(plain, adapter=self.overlay.label or plain.adapter, fallbacks=fallbacks)


def _seeds(settings: DrawingOptions) -> tuple[int, ...]:
    """Return the seeds of one place: consecutive ones, so that each picture can be had again alone."""
    return tuple((settings.seed + offset) % (LARGEST_SEED + 1) for offset in range(settings.num_images_per_prompt))
