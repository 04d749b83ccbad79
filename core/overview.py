"""The footer's facts: where models run by default here, how, in which mode, and why."""

from __future__ import annotations

from dataclasses import dataclass

from core.atelier import Atelier
from core.errors import AtelierError
from core.words import Sentence, in_bytes, say


@dataclass(frozen=True)
class Overview:
    """Device and dtype that the planner chooses for a starter on this machine, and the mode of this instance."""

    device: str
    dtype: str
    mode: str
    reasons: tuple[Sentence, ...]


@dataclass(frozen=True)
class MemoryState:
    """Bytes of the best device and of main memory, and what resident models hold of them."""

    device: str
    device_name: str
    free_bytes: int
    total_bytes: int
    models_bytes: int


def overview(atelier: Atelier) -> Overview:
    """Return the footer's facts; loads no model, and says why where a starter could not be placed."""
    mode = atelier.settings.mode.value
    why_mode = say(f"reason.mode_{mode}")
    try:
        found = atelier.registry.forecast(atelier.registry.resolve("", "feature-extraction"))
    except AtelierError as problem:
        return Overview("–", "–", mode, (problem.sentence, why_mode))
    if found.placement is None:
        return Overview("–", "–", mode, (found.refusal or why_mode, why_mode))
    return Overview(found.placement.device, found.placement.dtype, mode, (*found.placement.reasons, why_mode))


def memory_state(atelier: Atelier) -> MemoryState:
    """Return how full the best device is."""
    device = atelier.registry.hardware().best
    held = sum(one.measured_bytes for one in atelier.registry.ledger())
    return MemoryState(device.label, device.name, device.free_bytes, device.total_bytes, held)


def describe_memory(state: MemoryState) -> Sentence:
    """Say it in one line."""
    return say(
        "say.memory",
        device=f"{state.device} ({state.device_name})",
        free=in_bytes(state.free_bytes),
        total=in_bytes(state.total_bytes),
        models=in_bytes(state.models_bytes),
    )
