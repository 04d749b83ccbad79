"""Where and how a model runs, with reasons: a pure function of model, machine and wish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce

from core.errors import InvalidInput, NotEnoughMemory
from core.machine.devices import Device, Hardware
from core.placement.choices import Case, first_way, mixes_tables
from core.placement.model_facts import HALF, ModelFacts, Working, facts_from_config, image_working, text_working
from core.placement.prediction import Part, Way, predict
from core.placement.remedies import Step, ladder, step
from core.placement.wish import Wish
from core.words import Sentence, in_bytes, say

__all__ = [
    "ModelFacts",
    "Part",
    "Placement",
    "Wish",
    "Working",
    "facts_from_config",
    "image_working",
    "plan",
    "text_working",
]


@dataclass(frozen=True)
class Placement:
    """Where and how one model runs, what that is predicted to take, and why."""

    device: str
    """As PyTorch takes it: "cpu", "cuda:0"; with a device_map, where the inputs go."""
    dtype: str
    attention: str
    attention_slicing: bool = False
    vae_slicing: bool = False
    vae_tiling: bool = False
    offload: str = "none"
    device_map: str | None = None
    quantisation: str = "none"
    predicted_bytes: int = 0
    mixed_tables: bool = False
    """Whole tables may run under bfloat16 autocast over these float32 weights; a single text never does."""
    parts: tuple[Part, ...] = ()
    reasons: tuple[Sentence, ...] = ()

    @property
    def remedies(self) -> tuple[str, ...]:
        """What of a pipeline is done for its memory's sake, beside attention: ("vae_tiling", "model offload")."""
        vae = tuple(name for name in ("vae_slicing", "vae_tiling") if getattr(self, name))
        return vae if self.offload == "none" else (*vae, f"{self.offload} offload")


def plan(
    facts: ModelFacts,
    hardware: Hardware,
    wish: Wish,
    working_bytes: int | Working = 0,
    budget_bytes: int | None = None,
) -> Placement:
    """Return the fastest placement that obeys the wish and fits into what is free (and into `budget_bytes`).

    `working_bytes`: memory beside the weights; 0 = unknown (a fifth of the weights is assumed). How the prediction is
    made stands in core/placement/prediction.py. Raises NotEnoughMemory, whose values hold `needed_bytes` and
    `free_bytes`; InvalidInput for a forced choice that this model or machine does not know.
    """
    working = working_bytes if isinstance(working_bytes, Working) else Working(fixed_bytes=working_bytes)
    case = Case(facts, hardware, wish, working, budget_bytes)
    steps = list(_steps(case))
    fitting = next((tried for tried in steps if tried.fits), None)
    if fitting is None:
        raise _refusal(case, steps)
    return _placement(case, fitting)


def _steps(case: Case) -> Iterator[Step]:
    """Yield every step to try: the best device, then the GPUs together, then the processor."""
    device = _wished_device(case)
    way, reasons = first_way(case, device)
    alone = list(ladder(case, way, (_why_device(case, device), *reasons)))
    yield from alone
    yield from _together(case, way, reasons)
    if case.wish.device == "auto" and device.kind != "cpu":
        yield from _on_cpu(case, alone[-1])


def _together(case: Case, way: Way, reasons: tuple[Sentence, ...]) -> Iterator[Step]:
    """Yield the layers spread over all NVIDIA GPUs: transformers models only, pipelines have offload instead."""
    gpus = tuple(device for device in case.hardware.gpus if device.kind == "cuda")
    free_to_choose = case.wish.device in ("auto", "cuda") and case.facts.kind != "diffusion"
    if way.device.kind != "cuda" or len(gpus) == 1 or not free_to_choose or not _alike(case, way, gpus):
        return
    alone = step(case, way, reasons)
    why = say("reason.device_together", count=len(gpus), needed=in_bytes(alone.needed), free=in_bytes(alone.room))
    yield step(case, replace(way, together=gpus), (why, *reasons))


def _alike(case: Case, way: Way, gpus: tuple[Device, ...]) -> bool:
    """Tell whether every GPU can do what was chosen for the best one."""
    return all(_way_or_none(case, gpu) == replace(way, device=gpu) for gpu in gpus)


def _way_or_none(case: Case, device: Device) -> Way | None:
    try:
        return first_way(case, device)[0]
    except InvalidInput:
        return None


def _on_cpu(case: Case, closest: Step) -> Iterator[Step]:
    """Yield the processor's ladder, unless something was forced that it cannot do."""
    cpu = case.hardware.cpu
    if _way_or_none(case, cpu) is None:
        return
    way, reasons = first_way(case, cpu)
    why = say(
        "reason.device_cpu_instead",
        device=closest.way.device.label,
        needed=in_bytes(closest.needed),
        free=in_bytes(closest.room),
    )
    yield from ladder(case, way, (why, *reasons))


def _wished_device(case: Case) -> Device:
    auto = case.wish.device == "auto"
    return case.hardware.best if auto else case.hardware.device(case.wish.device)


def _why_device(case: Case, device: Device) -> Sentence:
    if case.wish.device != "auto":
        return say("reason.device_wished", device=device.label)
    key = "reason.device_no_gpu" if device.kind == "cpu" else "reason.device_best"
    return say(key, device=device.label, name=device.name)


def _placement(case: Case, chosen: Step) -> Placement:
    way = chosen.way
    fits = say("reason.fits", needed=in_bytes(chosen.needed), free=in_bytes(chosen.room))
    return Placement(
        device=way.device.label,
        dtype=way.dtype,
        attention=way.attention,
        attention_slicing=way.attention == "sliced",
        vae_slicing=way.vae_slicing,
        vae_tiling=way.vae_tiling,
        offload=way.offload,
        device_map="auto" if way.together else None,
        quantisation=way.quantisation,
        predicted_bytes=chosen.needed,
        mixed_tables=mixes_tables(case, way),
        parts=predict(case.facts, case.working, way),
        reasons=(*chosen.reasons, fits),
    )


def _refusal(case: Case, steps: list[Step]) -> NotEnoughMemory:
    """Name the step that came closest, and what would help."""
    closest = min(steps, key=lambda tried: max(tried.needed - tried.room, 0))
    offloaded = closest.needed <= closest.room
    needed = closest.main_memory if offloaded else closest.needed
    free = closest.main_memory_room if offloaded else closest.room
    return NotEnoughMemory(
        "error.not_enough_main_memory" if offloaded else "error.not_enough_memory",
        device=closest.way.device.label,
        needed=in_bytes(needed),
        free=in_bytes(free),
        advice=_advice(case, closest.way.dtype),
        needed_bytes=needed,
        free_bytes=free,
    )


def _advice(case: Case, dtype: str) -> Sentence:
    """Name the other wishes that would fit, tried by the same rules, and what always helps."""
    found = []
    for name, value in _alternatives(case, dtype):
        fitting = _first_fit(replace(case, wish=replace(case.wish, **{name: value})))
        if fitting:
            words = {name: value, "needed": in_bytes(fitting.needed)}
            found.append(say(f"say.advice_{name}", **{**words, "device": fitting.way.device.label}))
    sentences = [*found, say("say.advice_last")]
    return reduce(lambda first, second: say("say.two_sentences", first=first, second=second), sentences)


def _alternatives(case: Case, dtype: str) -> Iterator[tuple[str, str]]:
    if dtype not in HALF:
        yield "dtype", "bfloat16"
    if case.wish.quantisation == "none":
        yield "quantisation", "nf4"
    if case.wish.device != "auto":
        yield "device", "auto"


def _first_fit(case: Case) -> Step | None:
    try:
        return next((tried for tried in _steps(case) if tried.fits), None)
    except InvalidInput:
        return None
