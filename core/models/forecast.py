"""What would happen if a model were loaded now: where, how, what would have to go, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import InvalidInput, NotEnoughMemory
from core.machine.devices import Hardware
from core.models.loading import Preview
from core.placement.planner import ModelFacts, Placement, Wish, Working, plan
from core.words import Sentence


@dataclass(frozen=True)
class Idle:
    """A model that could go: its id and name, its device and the bytes that would come free."""

    id: str
    name: str
    device: str
    measured_bytes: int


@dataclass(frozen=True)
class Situation:
    """The machine as it is now, and the idle models in the order in which they may go."""

    hardware: Hardware
    idle: tuple[Idle, ...] = ()
    budget_left: int | None = None
    """Bytes that further models may take by the instance's own bound; None = no such bound."""

    def without(self, gone: Sequence[Idle]) -> Situation:
        """Return the situation once these models are gone."""
        freed = dict.fromkeys((device.label for device in self.hardware.devices), 0)
        for one in gone:
            freed[one.device] = freed.get(one.device, 0) + one.measured_bytes
        devices = tuple(
            replace(device, free_bytes=device.free_bytes + freed[device.label]) for device in self.hardware.devices
        )
        left = None if self.budget_left is None else self.budget_left + sum(one.measured_bytes for one in gone)
        idle = tuple(one for one in self.idle if one not in gone)
        return Situation(replace(self.hardware, devices=devices), idle, left)


@dataclass(frozen=True)
class Room:
    """A placement, and the idle models that must go for it, in this order."""

    placement: Placement
    goes: tuple[Idle, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """The plan, or the refusal; `evicts` names the idle models that would go first."""

    preview: Preview
    placement: Placement | None
    refusal: Sentence | None
    evicts: tuple[str, ...] = ()


def forecast(preview: Preview, wish: Wish, situation: Situation, working: int | Working = 0) -> Forecast:
    """Say what loading would do."""
    try:
        room = find_room(preview.facts, wish, situation, working)
    except (NotEnoughMemory, InvalidInput) as problem:
        return Forecast(preview, None, problem.sentence)
    return Forecast(preview, room.placement, None, tuple(one.name for one in room.goes))


def find_room(facts: ModelFacts, wish: Wish, situation: Situation, working_bytes: int | Working = 0) -> Room:
    """Return the best placement and the fewest of the oldest idle models that must go for it.

    An idle model goes before a slower way is taken, and none goes where even all of them would not be enough: then
    NotEnoughMemory is raised, counting the memory of the idle ones as free.
    """

    def placed(gone: Sequence[Idle]) -> Placement:
        now = situation.without(gone)
        return plan(facts, now.hardware, wish, working_bytes=working_bytes, budget_bytes=now.budget_left)

    def as_good(gone: Sequence[Idle]) -> bool:
        try:
            return _way(placed(gone)) == _way(best)
        except NotEnoughMemory:
            return False

    best = placed(situation.idle)
    count = next(count for count in range(len(situation.idle) + 1) if as_good(situation.idle[:count]))
    goes = situation.idle[:count]
    for one in reversed(goes):  # what lies on another device may stay
        rest = tuple(other for other in goes if other is not one)
        goes = rest if as_good(rest) else goes
    return Room(placed(goes), goes)


def _way(placement: Placement) -> Placement:
    """Return what makes one way as good as another: all but the numbers, the words and which of several GPUs it is."""
    kind = placement.device.partition(":")[0]
    return replace(placement, device=kind, predicted_bytes=0, parts=(), reasons=())
