"""What to try, in which order, when a way of running a model does not fit: the ladder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from core.placement.choices import Case, slicing_broken
from core.placement.prediction import Way, all_weight_bytes, free_for, holds_all_scores, predict, total
from core.words import Sentence, in_bytes, say


@dataclass(frozen=True)
class Step:
    """A way, what it takes and may take, and why each choice on the way here was made."""

    way: Way
    reasons: tuple[Sentence, ...]
    needed: int
    room: int
    main_memory: int = 0
    """Bytes it keeps in main memory beside (offload)."""
    main_memory_room: int = 0

    @property
    def fits(self) -> bool:
        """True where both memories have room."""
        return self.needed <= self.room and self.main_memory <= self.main_memory_room


@dataclass(frozen=True)
class Remedy:
    """One rung: its reason's name, whether the case allows it, and what it changes."""

    name: str
    allowed: Callable[[Case, Way], bool]
    change: Callable[[Way], Way]


def step(case: Case, way: Way, reasons: tuple[Sentence, ...]) -> Step:
    """Measure `way` against what is free, and against the budget where there is one."""
    offloaded = way.offload != "none"
    return Step(
        way=way,
        reasons=reasons,
        needed=total(predict(case.facts, case.working, way)),
        room=_within_budget(case, free_for(way)),
        main_memory=all_weight_bytes(case.facts, way.dtype, way.quantisation) if offloaded else 0,
        main_memory_room=_within_budget(case, case.hardware.cpu.free_bytes),
    )


def ladder(case: Case, way: Way, reasons: tuple[Sentence, ...]) -> Iterator[Step]:
    """Yield `way` and then one remedy more at a time; each takes less than the one before.

    VAE slicing, VAE tiling, model offload, attention slicing, sequential offload: from the cheapest in time to the
    dearest. A remedy that would save nothing, or that main memory has no room for, is left out.
    """
    here = step(case, way, reasons)
    yield here
    for remedy in REMEDIES:
        if remedy.name == "slicing":
            here = replace(here, reasons=(*here.reasons, *_why_no_slicing(case, here.way)))
        if not remedy.allowed(case, here.way):
            continue
        there = step(case, remedy.change(here.way), here.reasons)
        if there.needed < here.needed and there.main_memory <= there.main_memory_room:
            here = replace(there, reasons=(*here.reasons, _why(remedy, here, there)))
            yield here


def _why(remedy: Remedy, here: Step, there: Step) -> Sentence:
    return say(
        f"reason.{remedy.name}_remedy",
        needed=in_bytes(here.needed),
        free=in_bytes(here.room),
        lower=in_bytes(there.needed),
    )


def _within_budget(case: Case, free: int) -> int:
    return free if case.budget_bytes is None else min(free, case.budget_bytes)


def _vae_may(name: str) -> Callable[[Case, Way], bool]:
    return lambda case, _: case.facts.vae and getattr(case.wish, name) == "auto"


def _may_offload(case: Case, way: Way) -> bool:
    """Offload is a diffusion pipeline's; it helps where the weights can leave the GPU's own memory."""
    free_to_choose = case.wish.offload == "auto" and case.facts.kind == "diffusion"
    return free_to_choose and not way.device.shares_main_memory


def _may_slice(case: Case, way: Way) -> bool:
    return _slicing_is_open(case) and way.attention != "sliced" and not slicing_broken(case.hardware, way.device)


def _slicing_is_open(case: Case) -> bool:
    return "sliced" in case.facts.attention and (case.wish.attention_slicing, case.wish.attention) == ("auto", "auto")


def _why_no_slicing(case: Case, way: Way) -> tuple[Sentence, ...]:
    """Say why Auto leaves slicing out, where somebody may look for it."""
    if not _slicing_is_open(case) or holds_all_scores(way):
        return ()
    return (say("reason.slicing_saves_nothing", attention=way.attention),)


REMEDIES = (
    Remedy("vae_slicing", _vae_may("vae_slicing"), lambda way: replace(way, vae_slicing=True)),
    Remedy("vae_tiling", _vae_may("vae_tiling"), lambda way: replace(way, vae_tiling=True)),
    Remedy("offload_model", _may_offload, lambda way: replace(way, offload="model")),
    Remedy("slicing", _may_slice, lambda way: replace(way, attention="sliced")),
    Remedy("offload_sequential", _may_offload, lambda way: replace(way, offload="sequential")),
)
