"""What would happen if a model were loaded now: where, how, what would have to go, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.devices import Hardware
from core.errors import InvalidInput, NotEnoughMemory
from core.loading import Preview
from core.placement import Placement, Wish, plan
from core.words import Sentence


@dataclass(frozen=True)
class Idle:
    """A model that could go: its name, its device and the bytes that would come free."""

    name: str
    device: str
    measured_bytes: int


@dataclass(frozen=True)
class Forecast:
    """The plan, or the refusal; `evicts` names the idle models that would go first."""

    preview: Preview
    placement: Placement | None
    refusal: Sentence | None
    evicts: tuple[str, ...] = ()


def forecast(
    preview: Preview, hardware: Hardware, wish: Wish, idle: Sequence[Idle], budget_left: int | None
) -> Forecast:
    """Plan with what is free, then with one more idle model gone at a time (`idle` in the order of eviction)."""
    gone: list[str] = []
    for going in [None, *idle]:
        if going is not None:
            gone.append(going.name)
            hardware = _with_more_free(hardware, going)
            budget_left = None if budget_left is None else budget_left + going.measured_bytes
        try:
            placement = plan(preview.facts, hardware, wish, budget_bytes=budget_left)
        except NotEnoughMemory as problem:
            refusal = problem.sentence
        except InvalidInput as problem:
            return Forecast(preview, None, problem.sentence)
        else:
            return Forecast(preview, placement, None, tuple(gone))
    return Forecast(preview, None, refusal)


def _with_more_free(hardware: Hardware, going: Idle) -> Hardware:
    devices = tuple(
        replace(device, free_bytes=device.free_bytes + going.measured_bytes) if device.label == going.device else device
        for device in hardware.devices
    )
    return replace(hardware, devices=devices)
