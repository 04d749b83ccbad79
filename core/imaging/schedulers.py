"""Schedulers by name: how the noise is taken away, what each is good for, and which of them a model can use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput
from core.words import Sentence, say

AUTO = "auto"
"""The scheduler that the model was published with."""


@dataclass(frozen=True)
class Scheduler:
    """One way to take the noise away: a class of diffusers, and what it is told beside the model's own numbers."""

    name: str
    diffusers_class: str
    options: Mapping[str, Any] = field(default_factory=dict)
    flow: bool = False
    """For models that learned a flow from noise to picture (SD3, Flux); the others learned the noise itself."""

    @property
    def good_for(self) -> Sentence:
        """Say in a sentence what it is good for."""
        return say(f"say.scheduler_{self.name}")


_KARRAS = {"use_karras_sigmas": True}
_SDE = {"algorithm_type": "sde-dpmsolver++"}
_FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}

_SCHEDULERS = (
    Scheduler("ddim", "DDIMScheduler"),
    Scheduler("ddpm", "DDPMScheduler"),
    Scheduler("pndm", "PNDMScheduler"),
    Scheduler("lms", "LMSDiscreteScheduler"),
    Scheduler("euler", "EulerDiscreteScheduler"),
    Scheduler("euler_ancestral", "EulerAncestralDiscreteScheduler"),
    Scheduler("heun", "HeunDiscreteScheduler"),
    Scheduler("dpm2", "KDPM2DiscreteScheduler"),
    Scheduler("dpm2_ancestral", "KDPM2AncestralDiscreteScheduler"),
    Scheduler("dpmpp_2m", "DPMSolverMultistepScheduler"),
    Scheduler("dpmpp_2m_karras", "DPMSolverMultistepScheduler", _KARRAS),
    Scheduler("dpmpp_2m_sde", "DPMSolverMultistepScheduler", _SDE),
    Scheduler("dpmpp_2m_sde_karras", "DPMSolverMultistepScheduler", {**_SDE, **_KARRAS}),
    Scheduler("dpmpp_2s", "DPMSolverSinglestepScheduler"),
    Scheduler("deis", "DEISMultistepScheduler"),
    Scheduler("unipc", "UniPCMultistepScheduler"),
    Scheduler("lcm", "LCMScheduler"),
    Scheduler("tcd", "TCDScheduler"),
    Scheduler("flow_euler", "FlowMatchEulerDiscreteScheduler", flow=True),
    Scheduler("flow_heun", "FlowMatchHeunDiscreteScheduler", flow=True),
    Scheduler("flow_dpmpp_2m", "DPMSolverMultistepScheduler", _FLOW, flow=True),
    Scheduler("flow_unipc", "UniPCMultistepScheduler", _FLOW, flow=True),
)
SCHEDULERS: Mapping[str, Scheduler] = {one.name: one for one in _SCHEDULERS}
SCHEDULER_NAMES = (AUTO, *SCHEDULERS)


def good_for(name: str) -> Sentence:
    """Say what a scheduler is good for, "auto" included."""
    return say("say.scheduler_auto") if name == AUTO else SCHEDULERS[name].good_for


def make_scheduler(name: str, own: Any) -> Any:
    """Return a fresh scheduler: a copy of the model's `own`, or `name` with the numbers the model was trained with.

    Raises InvalidInput, with those that fit, for one that takes the noise away in a way the model did not learn.
    """
    if name == AUTO:
        return type(own).from_config(own.config)
    import diffusers

    chosen = SCHEDULERS[name]
    flow = learned_flow(own)
    if chosen.flow is not flow:
        raise unfit(name, flow=flow)
    made = getattr(diffusers, chosen.diffusers_class)
    shift = {"flow_shift": own.config.get("shift", 1.0)} if "use_flow_sigmas" in chosen.options else {}
    return made.from_config(_learned(own), **chosen.options, **shift)


def unfit(name: str, *, flow: bool) -> InvalidInput:
    """Return the refusal of a scheduler, with the others of the kind that the model can use."""
    names = (AUTO, *(one.name for one in _SCHEDULERS if one.flow is flow and one.name != name))
    return InvalidInput("error.scheduler_unfit", name=name, names=", ".join(names))


def learned_flow(scheduler: Any) -> bool:
    """Tell whether a model with this scheduler learned a flow from noise to picture."""
    config = scheduler.config
    return "FlowMatch" in type(scheduler).__name__ or bool(
        config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction"
    )


def _learned(own: Any) -> dict[str, Any]:
    """Return what of a scheduler's configuration belongs to the model, and what a choice by name must not inherit."""
    return {name: value for name, value in own.config.items() if name not in _OF_ITS_OWN}


_OF_ITS_OWN = frozenset(
    {"algorithm_type", "solver_order", "solver_type", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}
    | {"use_lu_lambdas", "final_sigmas_type", "lower_order_final", "euler_at_final", "variance_type", "thresholding"}
)
"""Settings of one scheduler that mean something else, or nothing, to another."""
