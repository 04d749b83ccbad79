"""What would have to go: pure, on invented machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import NotEnoughMemory
from core.machine.devices import Device, Hardware
from core.models.forecast import Idle, Situation, find_room, forecast
from core.models.loading import Preview
from core.placement.planner import ModelFacts, Wish

MB = 1_000_000
CPU = Device("cpu", 0, "cpu", 10_000 * MB, 1_000 * MB)
GPU = Device("cuda", 0, "gpu", 1_000 * MB, 100 * MB, compute_capability=(7, 0))


def facts(megabytes: int) -> ModelFacts:
    """Describe a model of so many megabytes in float32; a fifth is added for its work."""
    return ModelFacts(parameters=megabytes * MB // 4)


def idle(name: str, megabytes: int, device: str = "cpu") -> Idle:
    """Describe a model that could go."""
    return Idle(name, name, device, megabytes * MB)


def machine(*devices: Device) -> Hardware:
    """Put devices together."""
    return Hardware(devices, cores=2)


def gone(model: int, situation: Situation, **wish: str) -> list[str]:
    """Name who would go for a float32 model."""
    return [one.name for one in find_room(facts(model), Wish(dtype="float32", **wish), situation).goes]


@pytest.mark.parametrize(
    ("model", "expected"),
    [(800, []), (900, ["old"]), (1000, ["old", "older"]), (1100, ["old", "new"])],
)
def test_only_as_many_go_as_must(model: int, expected: list[str]) -> None:
    """Idle models go in their order until the model fits; those that turn out not to be needed stay."""
    there = Situation(machine(CPU), (idle("old", 150), idle("older", 60), idle("new", 200)))
    assert gone(model, there) == expected


def test_the_one_that_helps_goes_alone() -> None:
    """A small old model stays where only the larger one behind it makes the room."""
    assert gone(1000, Situation(machine(CPU), (idle("small", 10), idle("large", 500)))) == ["large"]


def test_none_goes_in_vain() -> None:
    """Where all together would not be enough, the refusal counts their memory as free."""
    there = Situation(machine(CPU), (idle("a", 100), idle("b", 100)))
    with pytest.raises(NotEnoughMemory, match=r"1\.2 GB may be used"):
        gone(2000, there)


def test_an_idle_model_goes_before_the_processor_is_used() -> None:
    """On a full GPU its idle model goes; one on the processor stays, and so does all if the processor is wished."""
    there = Situation(machine(CPU, GPU), (idle("beside", 300), idle("on the GPU", 800, "cuda:0")))
    assert gone(500, there) == ["on the GPU"]
    assert find_room(facts(500), Wish(dtype="float32"), there).placement.device == "cuda:0"
    assert gone(500, there, device="cpu") == []


def test_a_gpu_that_can_never_hold_it_keeps_its_models() -> None:
    """What is too large for the GPU runs on the processor, and the GPU's idle model stays."""
    roomy = replace(CPU, free_bytes=9_000 * MB)
    there = Situation(machine(roomy, GPU), (idle("on the GPU", 800, "cuda:0"),))
    assert gone(2000, there) == []
    assert find_room(facts(2000), Wish(dtype="float32"), there).placement.device == "cpu"


def test_the_instances_own_bound_counts_wherever_a_model_lies() -> None:
    """Under a bound for all models together, any idle model that leaves makes room."""
    there = Situation(machine(CPU), (idle("a", 300), idle("b", 300)), budget_left=100 * MB)
    assert gone(300, there) == ["a"]
    assert gone(500, there) == ["a", "b"]


def test_a_forecast_tells_the_refusal() -> None:
    """What cannot be is a sentence in the forecast, for want of memory or of a device; else who would go is named."""
    there = Situation(machine(CPU), (idle("a", 500),))
    preview = Preview(facts(1000), "r", 0)
    assert forecast(preview, Wish(), there).evicts == ("a",)
    assert "advice" not in str(forecast(Preview(facts(9000), "r", 0), Wish(), there).refusal)
    for wish in (Wish(quantisation="nf4"), Wish(device="cuda")):
        found = forecast(preview, wish, there)
        assert (found.placement, found.evicts) == (None, ())
        assert found.refusal is not None
